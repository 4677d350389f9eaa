#include <chorale/launcher/supervisor/rank_control.hpp>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include <chorale/comm/rank_watch.hpp>
#include <chorale/comm/control/job_board.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/launcher/printable.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/launcher/printable.hpp>

namespace chorale {

namespace {
constexpr auto kShareWithin = std::chrono::seconds(20);
constexpr auto kAnswerWithin = std::chrono::milliseconds(200);
constexpr auto kOrderlyWithin = std::chrono::milliseconds(350);  // then a rank leaves wherever it is
}  // namespace

std::unique_ptr<RankControl> RankControl::open(const Surroundings& around, LastWord* last) {
  const char *at = std::getenv("CHORALE_CONTROL"), *secret = std::getenv("CHORALE_SECRET");
  if (at && secret) return std::make_unique<RankControl>(ControlAddress::parse(at, secret), around.outer_rank, around.local_rank);
  std::unique_ptr<HostedHub> hub;
  if (around.outer_rank == 0) hub = std::make_unique<HostedHub>(around.outer_size);
  auto board = std::make_unique<JobBoard>();
  const std::string word = board->share(hub ? hub->word() : "", kShareWithin);
  const std::size_t blank = word.find(' ');
  if (blank == std::string::npos) return nullptr;
  try {
    auto out = std::make_unique<RankControl>(ControlAddress::parse(word.substr(0, blank), word.substr(blank + 1)), around.outer_rank,
                                             around.local_rank);
    out->hub_ = std::move(hub), out->board_ = std::move(board), out->last_ = last;
    return out;
  } catch (const CommError& e) {  // a firewall between nodes must not keep a run from starting that needs no watching
    std::fprintf(stderr, "chorale: warning: rank %d is not watched: %s\n", around.outer_rank, printable(e.what()).c_str());
    return nullptr;
  }
}

RankControl::RankControl(ControlAddress hub, int rank, int local_rank)
    : rank_(rank),
      channel_(
          std::make_unique<ControlChannel>(ControlChannel::Options{.hub = std::move(hub),
                                                                   .rank = rank,
                                                                   .local_rank = local_rank,
                                                                   .on_leave = [this](const ControlChannel::Cause& why) { leave(why); },
                                                                   .on_stop = [](int kind) { request_stop(static_cast<Stop>(kind)); }})) {}

void RankControl::guard(Communicator& comm) {
  const std::lock_guard lock(mutex_);
  comm_ = &comm;
  channel_->follow(&comm.watch().presence());
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

void RankControl::leave(const ControlChannel::Cause& why) {
  RankEnd mine = {.rank = rank_, .host = host_name(), .process = ::getpid(), .kind = why.kind, .cause = why.text, .code = why.code};
  mine.culprit = why.kind == CauseKind::peer ? 0 : why.culprit;  // the hub that has gone is rank 0's, where a last word is needed
  {
    const std::lock_guard lock(mutex_);
    if (comm_) mine.step = comm_->watch().presence().read().step;
    if (comm_) comm_->watch().dump(why.text, true);  // while the rank's own thread is still where it hangs
    if (comm_) comm_->abort(why.text);
  }
  std::this_thread::sleep_for(kOrderlyWithin);
  if (const auto said = last_ ? last_->settle(mine, [this] { return ends(); }) : std::nullopt)
    std::fprintf(stderr, "chorale: rank %d: %s%s\n", rank_, rank_ == 0 ? "" : kInPlaceOfRank0, printable(said->cause).c_str());
  std::fflush(nullptr);
  ::_exit(why.code);
}

}  // namespace chorale
