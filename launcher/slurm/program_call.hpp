// Another program's answer: Slurm's commands, started without a shell.
#pragma once
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chorale {

struct ProgramAnswer {
  int code = 0;  // 128 + N after signal N
  std::string output, messages;
};

struct ProgramCall {
  std::vector<std::string> words;
  std::string folder = {};  // where it runs; empty: here
  std::chrono::milliseconds limit;
  std::function<bool(std::string_view name)> hands_on = {};  // which of our variables it gets; none given: all
};

/// Runs words[0], looked up on PATH, and waits at most `limit`; a program that takes longer is killed and its code is 137. Empty when it
/// cannot be started.
std::optional<ProgramAnswer> call_program(const ProgramCall& call);
std::optional<ProgramAnswer> call_program(const std::vector<std::string>& words, const std::string& folder,
                                          std::chrono::milliseconds limit);

}  // namespace chorale
