// xxh3-128 of bytes as 32 lower-case hex digits, high half first: what `xxhsum -H2` prints.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace chorale {

/// Bytes in pieces, one hash at the end. One thread.
class ContentHash {
 public:
  ContentHash();
  ~ContentHash();
  ContentHash(const ContentHash&) = delete;
  ContentHash& operator=(const ContentHash&) = delete;
  void add(std::span<const std::byte> bytes);
  /// Of all bytes added so far.
  std::string text() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Of a text, or of the bytes of a file, in one piece.
std::string content_hash_of(std::string_view bytes);

/// Files are hashed by blocks, so that ranks hash what they write and damage has a place.
inline constexpr std::uint64_t kHashBlock = 1 << 20;

/// Appends the hash of each block of `bytes`; the last one may be shorter.
void add_block_hashes(std::span<const std::byte> bytes, std::vector<std::string>& hashes);

}  // namespace chorale
