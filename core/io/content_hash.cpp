#include <chorale/core/io/content_hash.hpp>

#include <new>
#include <vector>

#include <xxhash.h>

#include <chorale/core/io/file.hpp>

namespace chorale {

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

std::string ContentHash::text() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_->xxh3));
  std::string out;
  for (const unsigned char byte : canonical.digest) {
    constexpr char kDigits[] = "0123456789abcdef";
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::string file_hash(const std::filesystem::path& path) {
  const File file = File::open_read(path);
  std::vector<std::byte> piece(1 << 20);
  ContentHash hash;
  for (std::uint64_t offset = 0;;) {
    const std::size_t got = file.read_at(offset, piece);
    hash.add(std::span(piece).first(got));
    offset += got;
    if (got < piece.size()) return hash.text();
  }
}

}  // namespace chorale
