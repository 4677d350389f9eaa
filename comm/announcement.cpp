#include <chorale/comm/announcement.hpp>

#include <algorithm>
#include <cstring>

namespace chorale {
namespace {

/// FNV-1a with words instead of bytes, and a final mix: equal in every process of one program.
class Hash {
 public:
  void add(std::uint64_t word) { value_ = (value_ ^ word) * 0x9E3779B97F4A7C15ull, value_ ^= value_ >> 29; }
  std::uint64_t value() const { return value_ ^ (value_ >> 32); }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325ull;
};

const char* name(Reduce op) {
  switch (op) {
    case Reduce::sum:
      return "sum";
    case Reduce::max:
      return "max";
    case Reduce::min:
      return "min";
    case Reduce::bit_and:
      return "bit_and";
    case Reduce::bit_or:
      return "bit_or";
  }
  return "?";
}

}  // namespace

const char* name(Verb verb) {
  static constexpr const char* kNames[] = {"barrier",   "all_reduce", "reduce_scatter", "all_gather", "all_to_all",
                                           "broadcast", "send",       "recv",           "split",      "allocate"};
  return kNames[static_cast<int>(verb)];
}

void Announcement::set_label(std::string_view text, std::string_view prefix) {
  const std::size_t before = std::min(prefix.size(), sizeof label - 1);
  const std::size_t length = std::min(text.size(), sizeof label - 1 - before);
  std::memcpy(label, prefix.data(), before);
  std::memcpy(label + before, text.data(), length);
  std::memset(label + before + length, 0, sizeof label - before - length);
}

std::uint64_t Announcement::signature() const {
  Hash hash;
  hash.add(static_cast<std::uint64_t>(verb) | static_cast<std::uint64_t>(dtype) << 8 | static_cast<std::uint64_t>(op) << 16 |
           static_cast<std::uint64_t>(static_cast<std::uint32_t>(root)) << 32);
  hash.add(static_cast<std::uint64_t>(elements));
  hash.add(counts_hash);
  hash.add(sequence);
  std::uint64_t words[sizeof label / 8];
  std::memcpy(words, label, sizeof label);
  for (std::uint64_t word : words) hash.add(word);
  return hash.value();
}

std::string Announcement::title() const { return std::string(name(verb)) + " '" + label + "'"; }

std::string Announcement::numbered() const { return std::string(name(verb)) + " #" + std::to_string(sequence) + " '" + label + "'"; }

std::string Announcement::heading() const {
  std::string out = "[";
  out.append(title()).append(" #").append(std::to_string(sequence)).append("] ");
  return out;
}

std::string Announcement::text() const {
  std::string out = title() + " #" + std::to_string(sequence) + " (";
  const bool reduces = verb == Verb::all_reduce || verb == Verb::reduce_scatter;
  if (reduces) out += std::string(name(op)) + " of ";
  out += elements >= 0 ? std::to_string(elements) + " x " : std::string();
  out += chorale::name(dtype);
  if (root >= 0) out += ", root " + std::to_string(root);
  if (counts_hash != 0) out += ", counts " + std::to_string(counts_hash % 100000);
  return out + ")";
}

std::uint64_t hash_counts(std::span<const std::int64_t> counts) {
  Hash hash;
  for (std::int64_t count : counts) hash.add(static_cast<std::uint64_t>(count));
  return hash.value() | 1u;
}

}  // namespace chorale
