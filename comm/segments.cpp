#include <chorale/comm/segments.hpp>

namespace chorale {

Place Segments::find(const std::byte* data, std::size_t bytes) {
  if (one_address_space_) return {kAddressSpace, reinterpret_cast<std::uintptr_t>(data)};
  for (auto it = mappings_.begin(); it != mappings_.end();) {
    const std::shared_ptr<Mapping> mapping = it->second.lock();
    if (!mapping) {
      it = mappings_.erase(it);
      continue;
    }
    const std::byte* mine = mapping->parts[local_].get();
    if (data >= mine && data + bytes <= mine + mapping->bytes[local_]) return {it->first, static_cast<std::uint64_t>(data - mine)};
    ++it;
  }
  return {};
}

std::byte* Segments::at(int local, Place place) const {
  if (one_address_space_) return reinterpret_cast<std::byte*>(place.offset);
  return mappings_.at(place.segment).lock()->parts[static_cast<std::size_t>(local)].get() + place.offset;
}

}  // namespace chorale
