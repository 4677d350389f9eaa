// A fixed hash of texts. It is stored in models by its effect (hashed features), so it must never change.
#pragma once
#include <cstdint>
#include <string_view>

namespace chorale {

/// 64 well-mixed bits, equal on every machine.
std::uint64_t hash_text(std::string_view text);

}  // namespace chorale
