#include <chorale/launcher/supervisor/rank_control.hpp>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include <chorale/launcher/signals.hpp>

namespace chorale {

namespace {
constexpr auto kOrderlyWithin = std::chrono::milliseconds(350);  // then a rank leaves wherever it is
}

std::unique_ptr<RankControl> RankControl::from_environment(int rank, int local_rank) {
  const char *at = std::getenv("CHORALE_CONTROL"), *secret = std::getenv("CHORALE_SECRET");
  if (!at || !secret) return nullptr;
  return std::make_unique<RankControl>(ControlAddress::parse(at, secret), rank, local_rank);
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
}

void RankControl::release() {
  const std::lock_guard lock(mutex_);
  comm_ = nullptr;
}

void RankControl::leave(int code, const std::string& cause) {
  {
    const std::lock_guard lock(mutex_);
    if (comm_) comm_->abort(cause);
  }
  std::this_thread::sleep_for(kOrderlyWithin);
  std::fflush(nullptr);
  ::_exit(code);
}

}  // namespace chorale
