// How a metric's state becomes bytes and back: plain values one after the other, in host order. Ranks of one run share a byte order.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <chorale/core/base/error.hpp>

namespace chorale {

class StateWriter {
 public:
  template <class T>
  void put(const T& value) {
    put_all(std::span<const T>(&value, 1));
  }
  template <class T>
  void put_all(std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto raw = std::as_bytes(values);
    bytes_.insert(bytes_.end(), raw.begin(), raw.end());
  }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

class StateReader {
 public:
  explicit StateReader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  template <class T>
  T get() {
    return get_all<T>(1).front();
  }
  template <class T>
  std::vector<T> get_all(std::uint64_t count) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (count > bytes_.size() / sizeof(T)) fail("ends early");
    std::vector<T> values(count);
    if (count > 0) std::memcpy(values.data(), bytes_.data(), count * sizeof(T));
    bytes_ = bytes_.subspan(count * sizeof(T));
    return values;
  }
  /// To be called when everything has been read.
  void finish() const {
    if (!bytes_.empty()) fail("is " + std::to_string(bytes_.size()) + " bytes too long");
  }
  [[noreturn]] static void fail(const std::string& what) {
    throw InternalError("[metrics] a state " + what + "; merge only states of the same metric with the same outputs");
  }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace chorale
