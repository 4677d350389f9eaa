// How many ranks there are, who starts them, and the run of one function on all of them.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/base/option.hpp>
#include <chorale/launcher/supervisor/host_list.hpp>

namespace chorale {

class LastWord;

struct RankOptions {
  std::string ranks = "auto";  // a number, or one a physical core
  std::string launch = "auto";
};
void describe(OptionTable& table, RankOptions& options);

/// What the environment says.
struct Surroundings {
  int outer_size = 0;  // ranks of an mpirun or srun around us; 0: none
  int outer_rank = 0, local_rank = 0;
  bool is_on_one_node = false;  // all of them are
  bool slurm_step = false;
  bool started_by_us = false;
  int cores = 1;  // physical ones that we may use
  bool has_mpirun = false, has_srun = false;
  std::string omp_threads;  // OMP_NUM_THREADS; empty: not set
};
Surroundings look_around();

/// OMP_NUM_THREADS, where it is set and --threads is not given, becomes `threads`, and the terminal is told so once.
void take_omp_threads(const Option* given, const Surroundings& around, std::int64_t& threads);

struct RankPlan {
  enum class How { alone, threads, inside, mpirun, srun } how = How::alone;
  int ranks = 1;
  bool crowded = false;  // more ranks than cores
  std::string hosts;     // HOST:RANKS,...; empty: here, or where the allocation is
  Elsewhere elsewhere;   // of those hosts
  std::string note;      // for the terminal
};
/// Throws UsageError.
RankPlan plan_ranks(const RankOptions& options, const Surroundings& around);

/// What each rank runs: its communicator; the exit code comes back.
using RankBody = std::function<int(Communicator&)>;

/// Of ranks that nobody of ours has started.
struct Watching {
  LastWord* last =
      nullptr;  // who writes the verdict where the ranks are this program's own, or the user's mpirun's or srun's; null: no run
  std::chrono::milliseconds deadline{60000};  // of their waits until the body has its own, and for a rank to come or to say something
};

/// Runs `body` on all ranks and returns the run's exit code. With mpirun or srun this process only starts and watches the ranks, which are
/// this program with the same words. An error on one rank ends all; the first cause is printed once, with its rank.
int with_ranks(const RankPlan& plan, std::span<const std::string> words, const RankBody& body, const Watching& watching = {});

/// Columns of the terminal that rank 0 of this run writes to; 0: it is none. Under a launcher of ours its pipe hides that.
int terminal_columns();

}  // namespace chorale
