// Decimal text to double, exactly rounded.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace chorale {

enum class NumberRead : std::uint8_t { ok, not_finite, not_a_number };

/// Reads [+-] digits [. digits] [e [+-] digits] and nothing beside it; the nearest double, ties to even, the same on every machine.
/// not_finite: beyond the range of a double (1e999), or one of the words inf, infinity, nan in any case, signed or not.
/// `value` is written only when ok.
NumberRead read_number(std::string_view text, double& value);

/// The shortest text that reads back equal.
std::string number_text(double value);

}  // namespace chorale
