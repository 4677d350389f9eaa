// What one check of the doctor says: how it stands, what was found, and what to do about it.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include <chorale/core/base/error.hpp>

namespace chorale {

struct Finding {
  enum class State { ok, warning, failed, skipped };
  std::string name = {};  // scripts rely on it
  State state = State::ok;
  std::string found = {};
  std::string remedy = {};                           // of a warning or a failure
  ExitCode code = ExitCode::internal;                // of a failure
  nlohmann::json values = nlohmann::json::object();  // what was measured, for programs
};

inline Finding ok(std::string name, std::string found) { return {.name = std::move(name), .found = std::move(found)}; }
inline Finding warning(std::string name, std::string found, std::string remedy) {
  return {.name = std::move(name), .state = Finding::State::warning, .found = std::move(found), .remedy = std::move(remedy)};
}
inline Finding failed(std::string name, ExitCode code, std::string found, std::string remedy) {
  return {.name = std::move(name), .state = Finding::State::failed, .found = std::move(found), .remedy = std::move(remedy), .code = code};
}
inline Finding skipped(std::string name, std::string reason) {
  return {.name = std::move(name), .state = Finding::State::skipped, .found = std::move(reason)};
}

}  // namespace chorale
