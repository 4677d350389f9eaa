// xxh3-128 of bytes as 32 lower-case hex digits, high half first: what `xxhsum -H2` prints.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

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

/// Of a file's bytes, read in pieces of 1 MiB: a failing disk is an IoError here, where mapped memory would be a signal.
std::string file_hash(const std::filesystem::path& path);

}  // namespace chorale
