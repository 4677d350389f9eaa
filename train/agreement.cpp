#include <chorale/train/agreement.hpp>

#include <cstring>
#include <span>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {

std::vector<std::byte> packed(const Facts& facts) {
  std::string text;
  for (const auto& [key, value] : facts) text += key + '\x1f' + value + '\x1e';
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

Facts unpacked(std::span<const std::byte> bytes) {
  Facts facts;
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\x1e', at), mid = text.find('\x1f', at);
    facts.emplace_back(text.substr(at, mid - at), text.substr(mid + 1, end - mid - 1));
    at = end + 1;
  }
  return facts;
}

}  // namespace

void check_agreement(Communicator& comm, const Facts& mine) {
  const auto all = all_gather_bytes(comm, packed(mine), "start-up check");
  for (std::size_t r = 1; r < all.size(); ++r) {
    if (all[r] == all[0]) continue;
    const Facts first = unpacked(all[0]), other = unpacked(all[r]);
    const std::string who = "rank 0 and rank " + std::to_string(r) + " differ before step 0: ";
    for (std::size_t i = 0; i < std::min(first.size(), other.size()); ++i) {
      if (first[i] == other[i]) continue;
      if (first[i].first != other[i].first)
        throw UsageError(who + "rank 0 has " + first[i].first + " where rank " + std::to_string(r) + " has " + other[i].first);
      throw UsageError(who + first[i].first + " is '" + first[i].second + "' on rank 0 and '" + other[i].second + "' on rank " +
                       std::to_string(r) + "; start all ranks with one program and one recipe");
    }
    throw UsageError(who + "rank 0 has " + std::to_string(first.size()) + " facts, rank " + std::to_string(r) + " has " +
                     std::to_string(other.size()));
  }
}

std::string text_from(Communicator& comm, int root, const std::string& mine, Label label) {
  const auto bytes = broadcast_bytes(comm, std::as_bytes(std::span(mine)), root, label);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace chorale
