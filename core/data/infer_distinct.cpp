#include <chorale/core/data/infer_distinct.hpp>

#include <algorithm>
#include <cstring>

namespace chorale {

namespace {

std::uint64_t load(const char* p, std::size_t bytes) {
  std::uint64_t word = 0;
  std::memcpy(&word, p, bytes);
  return word;
}

// The full 128-bit product folded: the mixing step of wyhash.
std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

constexpr std::uint64_t kA = 0xa0761d6478bd642full, kB = 0xe7037ed1a0b428dbull;

}  // namespace

std::uint64_t hash_word(std::uint64_t bits) { return fold(fold(bits ^ kA, kB), kB ^ 8); }

std::uint64_t hash_bytes(std::string_view text) {
  const char* p = text.data();
  std::size_t left = text.size();
  std::uint64_t hash = kA;
  for (; left > 16; left -= 16, p += 16) hash = fold(load(p, 8) ^ kB, load(p + 8, 8) ^ hash);
  const std::uint64_t a = left >= 8 ? load(p, 8) : load(p, left), b = left > 8 ? load(p + left - 8, 8) : 0;
  return fold(fold(a ^ kB, b ^ hash), kA ^ text.size());
}

void Distinct::insert(std::uint64_t hash) {
  kept_.push_back(hash);
  if (kept_.size() < shrink_at_) return;
  kept_ = hashes();
  if (kept_.size() == kKept) limit_ = kept_.back();
  shrink_at_ = std::max<std::size_t>(4096, 2 * kept_.size());
}

void Distinct::add(const Distinct& other) {
  for (std::uint64_t hash : other.kept_)
    if (hash < limit_) insert(hash);
}

std::vector<std::uint64_t> Distinct::hashes() const {
  std::vector<std::uint64_t> sorted = kept_;
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  if (sorted.size() > kKept) sorted.resize(kKept);
  return sorted;
}

std::int64_t Distinct::count() const {
  const std::vector<std::uint64_t> sorted = hashes();
  if (sorted.size() < kKept) return static_cast<std::int64_t>(sorted.size());
  return static_cast<std::int64_t>(static_cast<double>(kKept - 1) / (static_cast<double>(sorted.back()) * 0x1p-64) + 0.5);
}

}  // namespace chorale
