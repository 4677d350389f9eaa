// Another program's answer: Slurm's commands, started without a shell.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace chorale {

struct ProgramAnswer {
  int code = 0;  // 128 + N after signal N
  std::string output, messages;
};

/// Runs words[0], looked up on PATH, in `folder` (empty: here), and waits at most `limit`; a program that takes longer is killed and its
/// code is 137. Empty when it cannot be started.
std::optional<ProgramAnswer> call_program(const std::vector<std::string>& words, const std::string& folder,
                                          std::chrono::milliseconds limit);

}  // namespace chorale
