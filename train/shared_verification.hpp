// The checkpoint that a run goes on from, chosen by rank 0 and verified by all ranks: each reads and hashes a share.
#pragma once
#include <filesystem>
#include <optional>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/base/log.hpp>
#include <chorale/core/io/checkpoint.hpp>

namespace chorale {

/// Collective. newest_valid_checkpoint() by all ranks together: rank 0 alone lists the folder and reads manifests, of which it sends the
/// others the text; each rank verifies 1/size of the blocks. One that is unsound to any of them is passed over by all, loudly in rank 0's
/// log. The same checkpoint on every rank; empty when there is none. Throws the same CheckpointError on every rank, with all reasons, when
/// there are some and none is sound.
std::optional<Checkpoint> newest_valid_together(Communicator& comm, const std::filesystem::path& checkpoints, Log& log);

/// Collective: the first rank's complaint on all ranks; empty when nobody has one.
std::string first_complaint(Communicator& comm, const std::string& mine, Label label);

/// What `work` throws, in its words; empty: nothing.
template <class F>
std::string complaint_of(F&& work) {
  try {
    work();
  } catch (const std::exception& e) {
    return e.what();
  }
  return "";
}

}  // namespace chorale
