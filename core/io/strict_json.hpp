// JSON that others may have written. The library alone keeps the last of two equal keys, and prints a value by recursion: a few MiB of
// brackets inside one another end the program.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace chorale {

/// Objects and lists inside one another that are read.
inline constexpr int kDeepestJson = 32;

/// The JSON object that `text` is, each key once in its object. Throws CheckpointError that begins with `where`.
nlohmann::json parse_json_object(std::string_view text, const std::string& where);

/// As JSON, shortened, for an error.
std::string excerpt_of(const nlohmann::json& value);

/// The whole number, from 0 on, that the object has under `key`. Throws CheckpointError that begins with `where` for anything else.
std::uint64_t count_at(const nlohmann::json& object, const char* key, const std::string& where);

}  // namespace chorale
