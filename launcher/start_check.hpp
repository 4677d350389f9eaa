// Before anything is read: all ranks must run one program with one command and one recipe, or their collectives would not match.
#pragma once
#include <string>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/base/option.hpp>

namespace chorale {

/// Collective, the first thing that ranks do together. Compares version, build, command and every option of `table`; only --run-dir may
/// differ where nobody named it, since its default holds the time. Throws UsageError on every rank that names the first difference.
void check_start(Communicator& comm, const std::string& command, const OptionTable& table);

}  // namespace chorale
