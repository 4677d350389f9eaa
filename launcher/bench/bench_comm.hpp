// chorale bench comm: collectives measured under any launcher.
#pragma once
#include <span>
#include <string>

namespace chorale {

/// `arguments`: what follows `bench comm`. The exit code; wrong sums are ExitCode::internal.
int run_bench_comm(std::span<const std::string> arguments);
/// The option table for the help.
std::string bench_comm_options();

}  // namespace chorale
