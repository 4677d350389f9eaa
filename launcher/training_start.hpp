// From the command line of a training to its ranks: who starts them, who watches them, whose folder it is. What train and collab train have
// in common.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/base/log.hpp>
#include <chorale/core/base/option.hpp>
#include <chorale/launcher/last_word.hpp>
#include <chorale/launcher/ranks.hpp>
#include <chorale/launcher/run_directory.hpp>

namespace chorale {

/// Flags of a command that trains, beside the keys of its recipe.
struct StartWords {
  RankOptions ranks;
  std::string run_dir;
  bool resume = false, overwrite = false, quiet = false;
  std::int64_t restarts = 3, min_ranks = 0;
  std::string hosts;
  Elsewhere elsewhere;
  std::vector<std::string> inject;
};
void describe(OptionTable& table, StartWords& words);

struct TrainingStart {
  std::vector<std::string> command;        // "train"
  std::span<const std::string> arguments;  // behind it
  std::string name;                        // of the recipe
  const OptionTable& table;
  StartWords& words;
  double watchdog_seconds = 60;
  std::int64_t* threads = nullptr;                  // parallel.threads, which OMP_NUM_THREADS may set; null: it does not
  std::function<void(const RankPlan&)> check = {};  // throws UsageError for ranks that do not fit, before any is started
  std::function<int(Communicator&, RunDirectory&, LastWord&)> rank_body;
};
/// Returns the run's exit code. Throws UsageError for flags that contradict each other.
int start_training(const TrainingStart& start);

/// Collective: rank 0 looks who owns the folder, which may take minutes; the others wait. What ends a run that goes on is its next
/// attempt's end from now on.
void claim_together(Communicator& comm, RunDirectory& run, const std::filesystem::path& folder, LastWord& last, double deadline_s,
                    Log& log);
/// Collective: all ranks know the attempt that rank 0 has begun, or is about to, and by which lock.
void begin_last_word(Communicator& comm, const RunDirectory& run, const std::filesystem::path& folder, LastWord& last);
/// The first thing that a rank does, so that all can be hit. Throws UsageError.
void inject_faults(Communicator& comm, const std::vector<std::string>& words);
void say_unmet_faults(Communicator& comm, Log& log);
/// Of a summary's status.
int exit_code_of(const std::string& status);

}  // namespace chorale
