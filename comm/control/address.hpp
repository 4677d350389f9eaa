// Where the hub listens, and the secret that it wants to hear.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace chorale {

struct ControlAddress {
  std::string host;
  std::uint16_t port = 0;
  std::string secret;
  /// "host:port"; the secret stays out of it, since command lines are public. Throws UsageError.
  static ControlAddress parse(const std::string& text, std::string secret);
  std::string text() const { return host + ":" + std::to_string(port); }
};

/// 128 random bits in hexadecimal. Throws IoError.
std::string new_secret();
/// In a time that does not depend on where the texts differ.
bool same_secret(std::string_view a, std::string_view b);

/// What a hello and a witness say of themselves: "SECRET\nHOST".
std::string_view secret_in(std::string_view text);
std::string_view host_in(std::string_view text);

}  // namespace chorale
