#include <chorale/launcher/supervisor/rank_control.hpp>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include <chorale/comm/rank_watch.hpp>
#include <chorale/comm/control/job_board.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/launcher/printable.hpp>

namespace chorale {

namespace {
constexpr auto kShareWithin = std::chrono::seconds(20);
constexpr auto kAnswerWithin = std::chrono::milliseconds(200);
constexpr auto kOrderlyWithin = std::chrono::milliseconds(350);  // then a rank leaves wherever it is
}  // namespace

std::unique_ptr<RankControl> RankControl::open(const Surroundings& around) {
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
    out->hub_ = std::move(hub), out->board_ = std::move(board);
    return out;
  } catch (const CommError& e) {  // a firewall between nodes must not keep a run from starting that needs no watching
    std::fprintf(stderr, "chorale: warning: rank %d is not watched: %s\n", around.outer_rank, printable(e.what()).c_str());
    return nullptr;
  }
}

RankControl::RankControl(ControlAddress hub, int rank, int local_rank)
    : channel_(std::make_unique<ControlChannel>(
          ControlChannel::Options{.hub = std::move(hub),
                                  .rank = rank,
                                  .local_rank = local_rank,
                                  .on_leave = [this](int code, const std::string& cause) { leave(code, cause); },
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
  channel_->follow(nullptr);
  comm_ = nullptr;
}

void RankControl::leave(int code, const std::string& cause) {
  {
    const std::lock_guard lock(mutex_);
    if (comm_) comm_->watch().dump(cause, true);  // while the rank's own thread is still where it hangs
    if (comm_) comm_->abort(cause);
  }
  std::this_thread::sleep_for(kOrderlyWithin);
  std::fflush(nullptr);
  ::_exit(code);
}

}  // namespace chorale
