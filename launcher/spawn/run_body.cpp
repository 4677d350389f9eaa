#include <chorale/launcher/spawn/run_body.hpp>

#include <cstdio>
#include <cstdlib>
#include <new>
#include <string_view>
#include <system_error>
#include <thread>

#include <chorale/comm/missed_rank.hpp>
#include <chorale/comm/rank_watch.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/core/base/system_limits.hpp>
#include <chorale/launcher/last_word.hpp>
#include <chorale/launcher/printable.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/launcher/supervisor/attempt.hpp>

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
/// Once, for commands that have no checkpoints to go on from.
int run_attempt(const RankPlan& plan, std::span<const std::string> words) {
  const AttemptEnd end = Attempt({.plan = plan, .words = {words.begin(), words.end()}, .deadline = std::chrono::minutes(10)}).run();
  if (!end.cause.empty()) std::fprintf(stderr, "chorale: %s\n", printable(end.cause).c_str());
  return end.code;
}
}  // namespace

int with_ranks(const RankPlan& plan, std::span<const std::string> words, const RankBody& body, const Watching& watching) {
  if (!plan.note.empty()) std::fprintf(stderr, "chorale: %s\n", plan.note.c_str());
  catch_signals(plan.how != RankPlan::How::mpirun && plan.how != RankPlan::How::srun);  // an attempt has a limit of its own
  switch (plan.how) {
    case RankPlan::How::alone:
      return run_threads(1, body, watching.last);
    case RankPlan::How::threads:
      return run_threads(plan.ranks, body, watching.last);
    case RankPlan::How::inside:
      return run_inside(look_around(), words, body, watching);
    case RankPlan::How::mpirun:
    case RankPlan::How::srun:
      return run_attempt(plan, words);
  }
  return 0;
}

}  // namespace chorale
