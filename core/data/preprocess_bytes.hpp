// Plain values and texts as bytes in host order: how fitted states travel between ranks of one run (never to disk).
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

using Bytes = std::vector<std::byte>;

template <class T>
requires std::is_trivially_copyable_v<T>
void put(Bytes& out, const T& value) {
  const auto* p = reinterpret_cast<const std::byte*>(&value);
  out.insert(out.end(), p, p + sizeof(T));
}

template <class T>
requires std::is_trivially_copyable_v<T> T take(std::span<const std::byte>& in) {
  if (in.size() < sizeof(T)) throw InternalError("a fitted state ends early");
  T value;
  std::memcpy(&value, in.data(), sizeof(T));
  in = in.subspan(sizeof(T));
  return value;
}

template <class T>
void put_values(Bytes& out, std::span<const T> values) {
  put(out, static_cast<std::uint64_t>(values.size()));
  const auto* p = reinterpret_cast<const std::byte*>(values.data());
  out.insert(out.end(), p, p + values.size_bytes());
}

template <class T>
std::vector<T> take_values(std::span<const std::byte>& in) {
  const auto n = static_cast<std::size_t>(take<std::uint64_t>(in));
  if (in.size() / sizeof(T) < n) throw InternalError("a fitted state ends early");
  std::vector<T> values(n);
  if (n > 0) std::memcpy(values.data(), in.data(), n * sizeof(T));
  in = in.subspan(n * sizeof(T));
  return values;
}

inline void put_text(Bytes& out, const std::string& text) { put_values<char>(out, text); }
inline std::string take_text(std::span<const std::byte>& in) {
  const std::vector<char> chars = take_values<char>(in);
  return {chars.begin(), chars.end()};
}

}  // namespace chorale
