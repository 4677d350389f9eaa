// One rank among others that mpirun or srun has started: control channel, MPI, body, and the way out.
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string_view>
#include <thread>

#include <chorale/comm/backends/mpi.hpp>
#include <chorale/comm/faults.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/launcher/last_word.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/launcher/spawn/end_words.hpp>
#include <chorale/launcher/spawn/run_body.hpp>
#include <chorale/launcher/supervisor/rank_control.hpp>

namespace chorale {

namespace {
constexpr auto kVerdictWithin = std::chrono::milliseconds(700);  // hub and first rank gather for 300

/// The words of --inject: a rank that is to fail before MPI starts has read no option yet.
std::vector<std::string> injected(std::span<const std::string> words) {
  constexpr std::string_view kFlag = "--inject";
  std::vector<std::string> out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == kFlag && i + 1 < words.size()) out.push_back(words[++i]);
    if (words[i].starts_with(std::string(kFlag) + "=")) out.push_back(words[i].substr(kFlag.size() + 1));
  }
  return out;
}

/// MPI and the body. What it throws before a communicator is there is this rank's own trouble.
RankResult run_with_mpi(const Surroundings& around, std::chrono::milliseconds deadline, RankControl* control, const RankBody& body,
                        Faults& faults, RankEnd& mine) {
  std::unique_ptr<Communicator> comm;
  try {
    {
      const TermEnds until_they_have_met;
      comm = make_mpi_world(deadline);
    }
    if (comm->size() != around.outer_size && comm->size() == 1)
      throw UsageError("the launcher started " + std::to_string(around.outer_size) + " tasks, but MPI sees 1: " +
                       (around.slurm_step ? "PMIx did not connect. Use srun --mpi=pmix (libpmix-dev on every node), or mpirun inside sbatch"
                                          : "use the mpirun of the Open MPI that this program is linked with"));
  } catch (...) {
    return describe_failure();
  }
  if (control) control->guard(*comm);
  const RankResult result = run_body(*comm, body);
  if (!result.error.empty()) mine = end_of(around.outer_rank, result, *comm);
  if (control) control->release();
  if (result.error.empty() && control) control->channel().done(result.code);
  faults.at("finalize");
  if (!result.error.empty()) comm.release();  // no MPI_Finalize after an abort: it would wait for the dead
  return result;
}

std::vector<RankEnd> ends_known_to(RankControl* control) { return control ? control->ends() : std::vector<RankEnd>{}; }

/// Rank 0 writes the verdict and says it, or its own trouble.
void report_first(const RankEnd& mine, const Surroundings& around, RankControl* control, LastWord* last) {
  const bool is_own = mine.kind == CauseKind::own;
  if (is_own) print_end(words_of_first(mine, {}, {}));
  const std::optional<Verdict> said = last ? last->settle(mine, [control] { return ends_known_to(control); }) : std::nullopt;
  if (!said && last && last->is_said()) {  // another one has written it, and says it
    if (!around.is_on_one_node && !is_own) print_end(words_of_recorded(last->recorded()));
    return;
  }
  // The hub goes with this process: the others are to hear why before.
  const std::optional<ToldVerdict> told = control ? control->told(kVerdictWithin) : std::nullopt;
  const bool is_final = said && said->code == static_cast<int>(ExitCode::internal) && *mine.code != said->code;
  if (is_final)
    print_end(said->cause);
  else if (!is_own)
    print_end(words_of_first(mine, told, ends_known_to(control)));
  if (said && said->code == static_cast<int>(ExitCode::comm) && last->has_begun())
    print_end("to go on: chorale train ... --run-dir " + last->run().string() + " --resume");
}

/// Another rank says its own trouble where nobody else does, and writes the verdict where rank 0 does not.
void report_other(const RankEnd& mine, RankControl* control, LastWord* last) {
  const auto told = [control] { return control ? control->told(kVerdictWithin) : std::nullopt; };
  const bool is_own = mine.kind == CauseKind::own;
  if (is_own) print_end(words_of_other(mine, told()));
  const std::optional<Verdict> said = last ? last->settle(mine, [control] { return ends_known_to(control); }) : std::nullopt;
  if (said) return print_end(in_place_of_first(mine.rank, said->cause));
  if (!is_own && !(last && last->is_said())) print_end(words_of_other(mine, told()));
}

/// The verdict's line is there before this returns. With a supervisor, which prints the verdict, it only says what there is to say.
void report(const RankEnd& mine, const Surroundings& around, RankControl* control, LastWord* last) {
  const bool speaks = !around.started_by_us;
  if (control && speaks) control->speak_for_itself();
  if (control)
    control->channel().tell(
        {.code = *mine.code, .text = mine.cause, .kind = mine.kind, .culprit = mine.culprit, .culprit_where = mine.culprit_where});
  if (!speaks) return;
  if (mine.rank == 0)
    report_first(mine, around, control, last);
  else
    report_other(mine, control, last);
}

/// Before there is a channel: the first rank has not come.
RankEnd end_without_channel(int rank, const RankResult& result) {
  return {.rank = rank,
          .host = host_name(),
          .process = ::getpid(),
          .kind = result.kind,
          .cause = result.error,
          .code = result.code,
          .culprit = result.rank,
          .culprit_where = result.rank_where};
}
}  // namespace

int run_inside(const Surroundings& around, std::span<const std::string> words, const RankBody& body, const Watching& watching) {
  // A rank of ours must not outlive its mpirun, which the starting process may have to kill.
  if (around.started_by_us && !around.slurm_step) ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  LastWord* const last = around.started_by_us ? nullptr : watching.last;
  std::unique_ptr<RankControl> control;
  RankEnd mine = {.rank = around.outer_rank};
  RankResult result;
  try {
    const TermEnds until_it_stands;
    if (around.outer_size > 1 || around.started_by_us) control = RankControl::open(around, {.last = last, .deadline = watching.deadline});
  } catch (const CommError&) {
    if (around.started_by_us) throw;
    result = describe_failure();
    mine = end_without_channel(around.outer_rank, result);
  }
  Faults faults(injected(words), around.outer_rank);
  if (result.error.empty()) {
    faults.at("init");
    result = run_with_mpi(around, watching.deadline, control.get(), body, faults, mine);
  }
  if (result.is_foreign && around.outer_size > 1) result.code = static_cast<int>(ExitCode::comm);
  if (!result.error.empty()) {
    mine.cause = result.error, mine.code = result.code, mine.kind = result.kind;
    report(mine, around, control.get(), last);
    if (last) last->close();
    std::fflush(nullptr);
    ::_exit(result.code);
  }
  if (control) control->channel().bye(result.code);
  // mpirun that ends its ranks on Ctrl-C answers no MPI_Finalize: the ranks would hang in it until they are killed.
  if (result.code == static_cast<int>(ExitCode::interrupted) && !around.started_by_us) {
    std::fflush(nullptr);
    ::_exit(result.code);
  }
  // A launcher treats any code but 0 as a crash and kills the others; who watches has heard the real one.
  if (around.started_by_us) return 0;
  // Ranks that leave with 99 one after the other give srun's 143: all but rank 0 leave with 0, and rank 0 when they have gone.
  if (result.code == static_cast<int>(ExitCode::requeue)) {
    if (around.outer_rank != 0) return 0;
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  return result.code;
}

}  // namespace chorale
