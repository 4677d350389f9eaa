#include <chorale/launcher/supervisor/rank_control.hpp>

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <thread>
#include <tuple>

#include <chorale/comm/missed_rank.hpp>
#include <chorale/comm/rank_watch.hpp>
#include <chorale/comm/control/job_board.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/launcher/printable.hpp>

namespace chorale {

namespace {
using namespace std::chrono_literals;
constexpr auto kAnswerWithin = 200ms;
constexpr auto kLookEvery = 5ms;
constexpr auto kOrderlyWithin = 350ms;  // then a rank leaves wherever it is
constexpr auto kOwnThreadWithin = 2s;   // to say why, and leave, where it has begun to
constexpr auto kOverDeadline = 1s;      // a hub speaks once a second
constexpr auto kTraining = 5s;          // later, waits for the first rank's process end at the deadline, and know more
constexpr auto kConnectWithin = 30s;
constexpr const char* kUnreachable = "unreachable";

/// The first rank has not come, or has said nothing since.
MissedRank first_is_absent(std::chrono::duration<double> waited) {
  const Silence absence = absence_of(0, waited);
  MissedRank error(0, "start", 0, absence.cause);
  error.is_late = true, error.where = absence.where;
  return error;
}

/// It has been there, and its process is gone. Where it was on this machine the verdict says how.
MissedRank first_has_ended(const HubGone& gone) {
  MissedRank error(0, "start", 0, std::string("rank 0, which watches the run, has ended: ") + gone.what());
  error.where = "its start";
  return error;
}
}  // namespace

std::unique_ptr<RankControl> RankControl::open(const Surroundings& around, const Watching& watching) {
  const char *at = std::getenv("CHORALE_CONTROL"), *secret = std::getenv("CHORALE_SECRET");
  if (at && secret)
    return std::make_unique<RankControl>(Options{.hub = ControlAddress::parse(at, secret),
                                                 .rank = around.outer_rank,
                                                 .local_rank = around.local_rank,
                                                 .deadline = watching.deadline});
  if (watching.last && around.outer_rank != 0) watching.last->await_first(sibling_of_rank(0));
  auto board = std::make_unique<JobBoard>();
  if (!board->has_joined()) return nullptr;
  return around.outer_rank == 0 ? host(around, watching, std::move(board)) : join(around, watching, std::move(board));
}

std::unique_ptr<RankControl> RankControl::host(const Surroundings& around, const Watching& watching, std::unique_ptr<JobBoard> board) {
  auto hub = std::make_unique<HostedHub>(HostedHub::Options{
      .ranks = around.outer_size,
      .is_on_one_node = around.is_on_one_node,
      .deadline = watching.deadline,
      .is_unreachable = [board = board.get()](int rank) { return board->get(rank, kAnswerWithin).word == kUnreachable; }});
  const ControlAddress address = hub->address();
  board->put(address.text() + " " + address.secret + " " + (watching.last ? watching.last->introduction() : ""));
  auto out = std::make_unique<RankControl>(Options{.hub = address,
                                                   .rank = 0,
                                                   .local_rank = around.local_rank,
                                                   .is_hub_in_first = true,
                                                   .deadline = watching.deadline,
                                                   .last = watching.last});
  out->hub_ = std::move(hub), out->board_ = std::move(board);
  return out;
}

std::unique_ptr<RankControl> RankControl::join(const Surroundings& around, const Watching& watching, std::unique_ptr<JobBoard> board) {
  const auto begun = std::chrono::steady_clock::now();
  const JobBoard::Reading first = board->get(0, watching.deadline + kOverDeadline);
  if (first.is_late) throw first_is_absent(std::chrono::steady_clock::now() - begun);
  std::istringstream words(first.word);
  std::string at, secret, introduction;
  if (!(words >> at >> secret)) return nullptr;
  std::getline(words, introduction);
  if (watching.last) watching.last->meet_first(introduction);
  try {
    auto out = std::make_unique<RankControl>(Options{.hub = ControlAddress::parse(at, secret),
                                                     .rank = around.outer_rank,
                                                     .local_rank = around.local_rank,
                                                     .is_hub_in_first = true,
                                                     .deadline = watching.deadline,
                                                     .last = watching.last});
    out->board_ = std::move(board);
    return out;
  } catch (const HubGone& gone) {
    std::ignore = board.release();  // mpirun, which is ending all, does not answer who leaves PMIx in order
    throw first_has_ended(gone);
  } catch (const CommError& e) {
    if (e.is_late) throw first_is_absent(std::chrono::steady_clock::now() - begun);
    // A firewall between nodes must not keep a run from starting that needs no watching.
    std::fprintf(stderr, "chorale: warning: rank %d is not watched: %s\n", around.outer_rank, printable(e.what()).c_str());
    board->put(kUnreachable);
    return nullptr;
  }
}

RankControl::RankControl(const Options& options) : options_(options) {
  last_place_.enter(Activity::connecting, "MPI_Init");
  ControlChannel::Options channel = {.hub = options.hub,
                                     .rank = options.rank,
                                     .local_rank = options.local_rank,
                                     .on_leave = [this](const ControlChannel::Cause& why) { leave(why); },
                                     .on_stop = [](int kind) { request_stop(static_cast<Stop>(kind)); }};
  std::chrono::milliseconds limit = kConnectWithin;
  if (options.is_hub_in_first) {
    channel.hub_name = "rank 0, which watches the run";
    channel.silence = options.deadline + kOverDeadline;
    channel.is_hub_gone = [last = options.last] { return last && last->first_has_died(); };
    channel.welcome_within = channel.silence + kTraining;  // while it speaks: the leader of this node may be the one that is late
    limit = std::clamp<std::chrono::milliseconds>(options.deadline / 2, 1s, kConnectWithin);
  }
  channel_ = std::make_unique<ControlChannel>(std::move(channel), limit);
  channel_->follow(&last_place_);
}

void RankControl::guard(Communicator& comm) {
  const std::lock_guard lock(mutex_);
  comm_ = &comm;
  channel_->follow(&comm.watch().presence());
  if (options_.is_hub_in_first) channel_->allow_silence(options_.deadline + kTraining);
  comm.on_far_ranks([this](int rank) -> std::optional<LastSeen> {
    const auto found = channel_->where(rank, kAnswerWithin);
    if (!found) return std::nullopt;
    return LastSeen{.seen = found->sighting, .seconds_ago = std::chrono::duration<double>(found->still).count()};
  });
}

void RankControl::release() {
  const std::lock_guard lock(mutex_);
  if (comm_) comm_->on_far_ranks({});
  if (comm_) {  // what it ends in stays known
    const Sighting at = comm_->watch().presence().read();
    last_place_.begin_step(at.step);
    if (at.activity == Activity::communicating)
      last_place_.join(at.what, at.sequence);
    else
      last_place_.enter(at.activity, at.what);
  }
  channel_->follow(&last_place_);
  comm_ = nullptr;
}

std::vector<RankEnd> RankControl::ends() const {
  if (hub_) return hub_->ends();
  const std::lock_guard lock(mutex_);
  std::vector<RankEnd> out;
  // Told by the first rank before it left: whoever writes in its place writes the same.
  if (verdict_) out.push_back({.rank = verdict_->rank, .kind = CauseKind::unheard, .cause = verdict_->cause, .code = verdict_->code});
  if (first_) out.push_back(*first_);
  return out;
}

std::optional<ToldVerdict> RankControl::told(std::chrono::milliseconds limit) {
  const auto until = std::chrono::steady_clock::now() + limit;
  std::unique_lock lock(mutex_);
  while (std::chrono::steady_clock::now() < until && !(verdict_ && (!hub_ || hub_->has_told()))) told_.wait_for(lock, kLookEvery);
  return verdict_;
}

/// What the rank's own thread is to know too.
void RankControl::note(const ControlChannel::Cause& why) {
  const std::lock_guard lock(mutex_);
  if (why.kind == CauseKind::follows) verdict_ = ToldVerdict{why.text, why.culprit, why.code};
  if (why.kind == CauseKind::late && options_.is_hub_in_first)
    first_ = RankEnd{.rank = 0, .kind = CauseKind::unheard, .cause = why.text + stopped_text(is_stopped(process_of_rank(0)))};
  told_.notify_all();
}

RankEnd RankControl::own_end(const ControlChannel::Cause& why) {
  RankEnd out = {.rank = options_.rank, .host = host_name(), .process = ::getpid(), .kind = why.kind, .cause = why.text, .code = why.code};
  out.culprit = why.culprit;
  if (why.kind == CauseKind::peer) out.culprit = 0;                // the hub that has gone is rank 0's, where a last word is needed
  if (why.kind == CauseKind::late) out.kind = CauseKind::follows;  // what there is to say is said of the first rank
  const std::lock_guard lock(mutex_);
  if (comm_) out.step = comm_->watch().presence().read().step;
  return out;
}

void RankControl::leave(const ControlChannel::Cause& why) {
  note(why);
  const RankEnd mine = own_end(why);
  bool has_ranks = false;
  {
    const std::lock_guard lock(mutex_);
    has_ranks = comm_ != nullptr;
    if (comm_) comm_->watch().dump(why.text, true);  // while the rank's own thread is still where it hangs
    if (comm_) comm_->abort(why.text);
  }
  if (has_ranks || speaks_) std::this_thread::sleep_for(kOrderlyWithin);
  if (speaks_) std::this_thread::sleep_for(kOwnThreadWithin);
  if (options_.is_hub_in_first) say_last(mine, why);
  std::fflush(nullptr);
  ::_exit(why.code);
}

/// In place of the rank's own thread, which hangs: rank 0 for all, another one where it has written the verdict.
void RankControl::say_last(const RankEnd& mine, const ControlChannel::Cause& why) {
  const auto said = options_.last ? options_.last->settle(mine, [this] { return ends(); }) : std::nullopt;
  if (!said && options_.last && options_.last->is_said()) {
    if (mine.rank == 0 && hub_ && !hub_->is_on_one_node()) print_end(words_of_recorded(options_.last->recorded()));
    return;
  }
  if (mine.rank == 0)
    print_end(words_of_first(mine, ToldVerdict{why.text, why.culprit, why.code}, ends()));
  else if (said)
    print_end(in_place_of_first(mine.rank, said->cause));
  else if (why.kind != CauseKind::follows)
    print_end(why.text);
}

}  // namespace chorale
