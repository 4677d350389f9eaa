// Shared memory for ranks that are threads of one process: plain zeroed pages. Any thread.
#pragma once
#include <map>
#include <mutex>

#include <chorale/comm/shared_regions.hpp>

namespace chorale {

class ThreadRegions final : public SharedRegions {
 public:
  Region create(std::size_t bytes) override;
  std::shared_ptr<std::byte> open(RegionKey key, std::size_t bytes) override;
  void retire(RegionKey key) noexcept override;
  bool one_address_space() const override { return true; }

 private:
  std::mutex mutex_;
  std::uint64_t next_ = 1;
  std::map<std::uint64_t, std::shared_ptr<std::byte>> offered_;
};

}  // namespace chorale
