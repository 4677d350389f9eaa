// Memory that `allocate` has given out: finds out whether peers can see a buffer, and where. One thread.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include <chorale/comm/node_page.hpp>

namespace chorale {

/// One call of allocate: every local rank's part as mapped here.
struct Mapping {
  std::vector<std::shared_ptr<std::byte>> parts;
  std::vector<std::size_t> bytes;
};

class Segments {
 public:
  Segments(bool one_address_space, int local) : one_address_space_(one_address_space), local_(static_cast<std::size_t>(local)) {}
  /// All ranks of the node add in the same order, which numbers the segments alike.
  void add(const std::shared_ptr<Mapping>& mapping) { mappings_[next_++] = mapping; }
  /// Where peers see [data, data + bytes); segment 0 when they do not.
  Place find(const std::byte* data, std::size_t bytes);
  /// A peer's place in this rank's addresses.
  std::byte* at(int local, Place place) const;

 private:
  static constexpr std::uint64_t kAddressSpace = 1;
  bool one_address_space_;
  std::size_t local_;
  std::uint64_t next_ = kAddressSpace + 1;
  std::map<std::uint64_t, std::weak_ptr<Mapping>> mappings_;
};

}  // namespace chorale
