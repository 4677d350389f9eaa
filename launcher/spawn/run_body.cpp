#include <chorale/launcher/spawn/run_body.hpp>

#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string_view>
#include <system_error>
#include <thread>

#include <chorale/comm/backends/mpi.hpp>
#include <chorale/comm/faults.hpp>
#include <chorale/comm/missed_rank.hpp>
#include <chorale/comm/rank_watch.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/core/base/system_limits.hpp>
#include <chorale/launcher/last_word.hpp>
#include <chorale/launcher/printable.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/launcher/supervisor/attempt.hpp>
#include <chorale/launcher/supervisor/rank_control.hpp>

namespace chorale {

namespace {

constexpr std::string_view kCodeMark = "(exit code ";  // how a rank tells those that follow which code its error has

std::string place_of(const CommError& error) { return error.sequence > 0 ? error.op + " #" + std::to_string(error.sequence) : error.op; }

/// A follower's error ends as the first one's, without the mark.
RankResult following(const CommError& error) {
  RankResult out = {static_cast<int>(error.code()), error.what(), CauseKind::follows, error.rank, place_of(error)};
  const std::size_t mark = out.error.find(kCodeMark), end = out.error.find(") ", mark);
  if (mark == std::string::npos || end == std::string::npos) return out;
  out.code = std::atoi(out.error.c_str() + mark + kCodeMark.size());
  out.error.erase(mark, end + 2 - mark);
  return out;
}

}  // namespace

RankResult describe_failure() {
  try {
    throw;
  } catch (const CommError& e) {
    if (std::string_view(e.what()).find("aborted by rank") != std::string_view::npos) return following(e);
    const auto* missed = dynamic_cast<const MissedRank*>(&e);
    const std::string rank_where = missed ? missed->where : e.sequence > 0 ? place_of(e) : "";
    return {static_cast<int>(e.code()), e.what(), e.is_late ? CauseKind::late : CauseKind::peer, e.rank, place_of(e), rank_where};
  } catch (const NumericError& e) {
    return {static_cast<int>(e.code()), e.what(), e.is_own ? CauseKind::own : CauseKind::peer};
  } catch (const Error& e) {
    return {static_cast<int>(e.code()), e.what()};
  } catch (const std::bad_alloc&) {
    return {static_cast<int>(ExitCode::io), "[memory] an allocation has failed; " + address_space_text()};
  } catch (const std::system_error& e) {
    if (e.code() == std::errc::resource_unavailable_try_again)
      return {static_cast<int>(ExitCode::io), "[threads] a thread was refused; " + threads_text()};
    return {.code = static_cast<int>(ExitCode::internal), .error = e.what(), .is_foreign = true};
  } catch (const std::exception& e) {
    return {.code = static_cast<int>(ExitCode::internal), .error = e.what(), .is_foreign = true};
  }
}

RankResult describe_failure(const Communicator& comm) {
  RankResult out = describe_failure();
  if (out.is_foreign && comm.size() > 1 && comm.backend() == "mpi") out.code = static_cast<int>(ExitCode::comm);
  return out;
}

RankResult run_body(Communicator& comm, const RankBody& body) {
  RankResult out;
  try {
    out.code = body(comm);
    return out;
  } catch (...) {
    out = describe_failure(comm);
  }
  // In front: the board that carries the text has little room.
  comm.abort(std::string(kCodeMark) + std::to_string(out.code) + ") " + out.error);
  return out;
}

namespace {
/// For the rule of the verdict.
RankEnd end_of(int rank, const RankResult& result, Communicator& comm) {
  const Sighting at = comm.watch().presence().read();
  return {.rank = rank,
          .kind = result.kind,
          .cause = result.error,
          .code = result.code,
          .culprit = result.rank,
          .culprit_where = result.rank_where,
          .where = result.where.empty() ? at.text() : result.where,
          .step = at.step};
}

void print_error(int rank, int size, const std::string& text) {
  if (size > 1)
    std::fprintf(stderr, "chorale: rank %d: %s\n", rank, printable(text).c_str());
  else
    std::fprintf(stderr, "chorale: %s\n", printable(text).c_str());
}
}  // namespace

int run_threads(int ranks, const RankBody& body, LastWord* last) {
  auto comms = ranks == 1 ? std::vector<std::unique_ptr<Communicator>>() : make_thread_communicators(ranks);
  if (ranks == 1) comms.push_back(make_self_communicator());
  std::vector<RankResult> results(static_cast<std::size_t>(ranks));
  std::vector<std::thread> threads;
  for (std::size_t r = 1; r < results.size(); ++r) threads.emplace_back([&, r] { results[r] = run_body(*comms[r], body); });
  results[0] = run_body(*comms[0], body);
  for (std::thread& thread : threads) thread.join();
  std::vector<RankEnd> ends;
  for (std::size_t r = 0; r < results.size(); ++r)
    if (!results[r].error.empty()) ends.push_back(end_of(static_cast<int>(r), results[r], *comms[r]));
  std::optional<Verdict> verdict = verdict_of(ends);
  if (!verdict) return results[0].code;
  if (ranks == 1) verdict->cause = ends[0].cause;
  if (last) last->say(*verdict);
  std::fprintf(stderr, "chorale: %s\n", printable(verdict->cause).c_str());
  return verdict->code;
}

namespace {
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
RankResult run_with_mpi(const Surroundings& around, RankControl* control, const RankBody& body, Faults& faults, RankEnd& mine) {
  std::unique_ptr<Communicator> comm;
  try {
    comm = make_mpi_world();
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

/// Who watches the run says it, once; else the rank that failed first, and those that only follow wait for it. The verdict's line is there
/// before this returns.
void report(const RankEnd& mine, const Surroundings& around, RankControl* control, LastWord* last) {
  const bool speaks = !around.started_by_us, follows = mine.kind == CauseKind::follows;
  if (speaks && !follows) print_error(around.outer_rank, around.outer_size, mine.cause);
  if (control)
    control->channel().tell(
        {.code = *mine.code, .text = mine.cause, .kind = mine.kind, .culprit = mine.culprit, .culprit_where = mine.culprit_where});
  const auto begun = std::chrono::steady_clock::now();
  const std::optional<Verdict> said =
      speaks && last ? last->settle(mine, [control] { return control ? control->ends() : std::vector<RankEnd>{}; }) : std::nullopt;
  const bool is_final = said && said->code == static_cast<int>(ExitCode::internal) && mine.code != said->code;
  if (is_final && mine.rank == 0) print_error(around.outer_rank, around.outer_size, said->cause);
  if (said && mine.rank != 0) print_error(around.outer_rank, around.outer_size, kInPlaceOfRank0 + said->cause);
  if (!speaks || !follows) return;
  std::this_thread::sleep_until(begun + std::chrono::milliseconds(500));
  print_error(around.outer_rank, around.outer_size, mine.cause);
}
}  // namespace

int run_inside(const Surroundings& around, std::span<const std::string> words, const RankBody& body, LastWord* last) {
  // A rank of ours must not outlive its mpirun, which the starting process may have to kill.
  if (around.started_by_us && !around.slurm_step) ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const std::unique_ptr<RankControl> control =
      around.outer_size > 1 || around.started_by_us ? RankControl::open(around, around.started_by_us ? nullptr : last) : nullptr;
  Faults faults(injected(words), around.outer_rank);
  faults.at("init");
  RankEnd mine = {.rank = around.outer_rank};
  RankResult result = run_with_mpi(around, control.get(), body, faults, mine);
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

namespace {
/// Once, for commands that have no checkpoints to go on from.
int run_attempt(const RankPlan& plan, std::span<const std::string> words) {
  const AttemptEnd end = Attempt({.plan = plan, .words = {words.begin(), words.end()}, .silence = std::chrono::minutes(10)}).run();
  if (!end.cause.empty()) std::fprintf(stderr, "chorale: %s\n", printable(end.cause).c_str());
  return end.code;
}
}  // namespace

int with_ranks(const RankPlan& plan, std::span<const std::string> words, const RankBody& body, LastWord* last) {
  if (!plan.note.empty()) std::fprintf(stderr, "chorale: %s\n", plan.note.c_str());
  catch_signals(plan.how != RankPlan::How::mpirun && plan.how != RankPlan::How::srun);  // an attempt has a limit of its own
  switch (plan.how) {
    case RankPlan::How::alone:
      return run_threads(1, body, last);
    case RankPlan::How::threads:
      return run_threads(plan.ranks, body, last);
    case RankPlan::How::inside:
      return run_inside(look_around(), words, body, last);
    case RankPlan::How::mpirun:
    case RankPlan::How::srun:
      return run_attempt(plan, words);
  }
  return 0;
}

}  // namespace chorale
