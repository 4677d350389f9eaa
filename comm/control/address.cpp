#include <chorale/comm/control/address.hpp>

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <charconv>

#include <chorale/core/base/error.hpp>

namespace chorale {

ControlAddress ControlAddress::parse(const std::string& text, std::string secret) {
  const std::size_t colon = text.rfind(':');
  ControlAddress out{.host = text.substr(0, colon), .secret = std::move(secret)};
  const char* first = text.data() + std::min(text.size(), colon == std::string::npos ? text.size() : colon + 1);
  const auto [end, error] = std::from_chars(first, text.data() + text.size(), out.port);
  if (out.host.empty() || error != std::errc() || end != text.data() + text.size() || out.port == 0)
    throw UsageError("[control] address '" + text + "' is refused: expected HOST:PORT");
  return out;
}

std::string new_secret() {
  std::array<unsigned char, 16> bytes;
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) throw IoError("[control] no random numbers");
  std::string out;
  for (const unsigned char b : bytes) out += "0123456789abcdef"[b >> 4], out += "0123456789abcdef"[b & 15];
  return out;
}

bool same_secret(std::string_view a, std::string_view b) {
  unsigned difference = a.size() != b.size();
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

std::string_view secret_in(std::string_view text) { return text.substr(0, text.find('\n')); }

std::string_view host_in(std::string_view text) { return text.substr(std::min(text.size(), text.find('\n') + 1)); }

}  // namespace chorale
