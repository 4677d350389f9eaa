#include <chorale/core/io/content_hash.hpp>

#include <algorithm>
#include <new>

#include <xxhash.h>

namespace chorale {

namespace {

std::string digits_of(XXH128_hash_t hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  std::string out;
  for (const unsigned char byte : canonical.digest) {
    constexpr char kDigits[] = "0123456789abcdef";
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

}  // namespace

struct ContentHash::State {
  State() : xxh3(XXH3_createState()) {
    if (xxh3 == nullptr) throw std::bad_alloc();
    XXH3_128bits_reset(xxh3);
  }
  ~State() { XXH3_freeState(xxh3); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  XXH3_state_t* xxh3;
};

ContentHash::ContentHash() : state_(std::make_unique<State>()) {}
ContentHash::~ContentHash() = default;

void ContentHash::add(std::span<const std::byte> bytes) {
  if (!bytes.empty()) XXH3_128bits_update(state_->xxh3, bytes.data(), bytes.size());
}

std::string ContentHash::text() const { return digits_of(XXH3_128bits_digest(state_->xxh3)); }

std::string content_hash_of(std::string_view bytes) {
  ContentHash hash;
  hash.add(std::as_bytes(std::span(bytes)));
  return hash.text();
}

void add_block_hashes(std::span<const std::byte> bytes, std::vector<std::string>& hashes) {
  for (; !bytes.empty(); bytes = bytes.subspan(std::min<std::size_t>(bytes.size(), kHashBlock)))
    hashes.push_back(digits_of(XXH3_128bits(bytes.data(), std::min<std::size_t>(bytes.size(), kHashBlock))));
}

}  // namespace chorale
