// The lines of a run's events.jsonl, which are read in one place: whoever shares the folder may have written there, too.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include <chorale/launcher/verdict.hpp>

namespace chorale {

/// What the line says, and the number of its attempt.
using SeenEvent = std::function<void(nlohmann::ordered_json& event, int attempt)>;

/// Lines in `run` that are objects and name an attempt, in their order; others are passed over, and no file has none.
void for_each_event(const std::filesystem::path& run, const SeenEvent& see);

/// A text, or a whole number, of this name; "" or -1 where there is none.
std::string text_in(const nlohmann::ordered_json& event, const char* key);
std::int64_t whole_in(const nlohmann::ordered_json& event, const char* key);

/// How the attempt of an "end" has ended; nothing of another event, or of one without a code.
std::optional<Verdict> end_in(const nlohmann::ordered_json& event);

/// Appends it and syncs. A writer that was stopped in between overwrites no line. Throws IoError.
void append_event(const std::filesystem::path& run, const nlohmann::ordered_json& event);

}  // namespace chorale
