#include <chorale/train/replica_check.hpp>

#include <algorithm>
#include <cstdio>
#include <map>
#include <vector>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/content_hash.hpp>

namespace chorale {

namespace {

constexpr std::int64_t kNoCopy = 0;

std::int64_t hash_of(Buffer values) {
  ContentHash hash;
  hash.add({values.as<const std::byte>(), values.bytes()});
  const auto word = static_cast<std::int64_t>(std::stoull(hash.text().substr(0, 16), nullptr, 16));
  return word == kNoCopy ? 1 : word;
}

std::vector<std::int64_t> of_all_ranks(Communicator& comm, std::vector<std::int64_t> mine) {
  const std::vector<std::int64_t> counts(static_cast<std::size_t>(comm.size()), static_cast<std::int64_t>(mine.size()));
  std::vector<std::int64_t> all(mine.size() * counts.size());
  comm.all_gather(buffer_of(std::span(mine)), buffer_of(std::span(all)), counts, "replica check").wait();
  return all;
}

/// Of the ranks that hold one; -1: all are equal.
struct Odd {
  int rank = -1, like_most = -1;
  int copies = 0, equal = 0;  // equal: to most
};

Odd odd_one(const std::vector<std::int64_t>& hashes, std::size_t first, std::size_t stride) {
  std::map<std::int64_t, int> counts;
  Odd out;
  for (std::size_t at = first; at < hashes.size(); at += stride)
    if (hashes[at] != kNoCopy) ++counts[hashes[at]], ++out.copies;
  std::int64_t most = kNoCopy;
  for (std::size_t at = first; at < hashes.size(); at += stride) {  // of equal numbers the lowest rank's
    if (hashes[at] == kNoCopy || counts[hashes[at]] <= out.equal) continue;
    most = hashes[at], out.equal = counts[most], out.like_most = static_cast<int>(at / stride);
  }
  for (std::size_t at = first; at < hashes.size() && out.rank < 0; at += stride)
    if (hashes[at] != kNoCopy && hashes[at] != most) out.rank = static_cast<int>(at / stride);
  return out;
}

std::string hex(std::int64_t word) {
  char text[24];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(word));
  return text;
}

}  // namespace

void check_replicas(Communicator& comm, const FlatParams& params, bool has_copy, std::int64_t step) {
  const std::vector<std::int64_t> whole = of_all_ranks(comm, {has_copy ? hash_of(params.values()) : kNoCopy});
  if (odd_one(whole, 0, 1).rank < 0) return;
  std::vector<std::int64_t> mine;
  for (const FlatParams::Entry& e : params.entries()) mine.push_back(has_copy ? hash_of(params.values().part(e.first, e.count)) : kNoCopy);
  const std::vector<std::int64_t> all = of_all_ranks(comm, mine);
  std::string tensor = "the gaps between tensors";
  std::size_t at = 0;
  Odd odd = odd_one(whole, 0, 1);
  for (std::size_t i = 0; i < mine.size(); ++i) {
    const Odd here = odd_one(all, i, mine.size());
    if (here.rank < 0) continue;
    odd = here, at = i, tensor = "tensor '" + params.entries()[i].name + "'";
    break;
  }
  const auto hash = [&](int rank) { return hex(all[static_cast<std::size_t>(rank) * mine.size() + at]); };
  const std::string blame = odd.copies - odd.equal < odd.equal
                                ? std::to_string(odd.equal) + " of " + std::to_string(odd.copies) + " copies agree with the latter"
                                : "which of them is right cannot be told";
  throw CommError(odd.rank, "replica check", static_cast<std::uint64_t>(step),
                  "copies of the parameters differ after step " + std::to_string(step) + ": " + tensor + " of rank " +
                      std::to_string(odd.rank) + " (" + hash(odd.rank) + ") is not that of rank " + std::to_string(odd.like_most) + " (" +
                      hash(odd.like_most) + "); " + blame +
                      ". Restart from the newest checkpoint; if it comes again, test that machine's memory");
}

}  // namespace chorale
