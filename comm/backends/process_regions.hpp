// Shared memory for ranks that are processes of one node: memfd, which has no name and dies with its last user. A peer opens
// it by its descriptor under /proc, which needs the same user and one view of processes; the size must fit.
#pragma once
#include <map>

#include <chorale/comm/shared_regions.hpp>

namespace chorale {

/// One thread.
class ProcessRegions final : public SharedRegions {
 public:
  ProcessRegions() = default;
  ~ProcessRegions() override;
  ProcessRegions(const ProcessRegions&) = delete;
  ProcessRegions& operator=(const ProcessRegions&) = delete;

  Region create(std::size_t bytes) override;
  std::shared_ptr<std::byte> open(RegionKey key, std::size_t bytes) override;
  void retire(RegionKey key) noexcept override;
  bool one_address_space() const override { return false; }

 private:
  std::map<std::uint64_t, int> offered_;  // descriptors that peers may still open
};

}  // namespace chorale
