#include <chorale/launcher/bench/collective_bench.hpp>

#include <algorithm>
#include <chrono>
#include <functional>

namespace chorale {
namespace {

constexpr double kBudgetUs = 1.5e6;  // of all repetitions of a size
constexpr std::int64_t kFewest = 11, kMost = 1001;

void run_peer(MpiPeer& peer, const CollectiveCall& call) {
  if (call.op == "all_reduce") return peer.all_reduce(call.output);
  if (call.op == "reduce_scatter") return peer.reduce_scatter(call.input, call.output, call.counts);
  if (call.op == "all_gather") return peer.all_gather(call.input, call.output, call.counts);
  if (call.op == "all_to_all") return peer.all_to_all(call.input, call.output, call.counts);
  if (call.op == "broadcast") return peer.broadcast(call.output, 0);
  if (call.op == "send_recv") return peer.send_recv(call.input, call.to, call.output, call.from);
  peer.barrier();
}

class Race {
 public:
  Race(Communicator& comm, std::int64_t repeat) : comm_(comm), repeat_(repeat) {}
  void enter(CollectiveTrial& trial, std::function<void()> run) { runners_.push_back({&trial, std::move(run), {}}); }

  /// Every runner in every repetition, in turn; the first repetitions only warm up.
  void run() {
    constexpr std::int64_t kWarmUp = 3;
    double warm_us = 0;
    for (std::int64_t i = 0; i < kWarmUp; ++i) warm_us = repetition();
    comm_.broadcast(buffer_of(std::span(&warm_us, 1)), 0, "bench repetitions").wait();
    for (Runner& runner : runners_) runner.samples.clear();
    const double fit = kBudgetUs / std::max(warm_us, 1.0);
    const std::int64_t count = repeat_ > 0 ? repeat_ : std::clamp(static_cast<std::int64_t>(fit), kFewest, kMost);
    for (std::int64_t i = 0; i < count; ++i) repetition();
  }

  /// Microseconds by repetition, the mean over ranks. Collective.
  Spread times(std::size_t runner) {
    std::vector<double> samples = runners_[runner].samples;
    comm_.all_reduce(buffer_of(std::span(samples)), Reduce::sum, "bench times").wait();
    for (double& sample : samples) sample /= comm_.size();
    return spread_of(std::move(samples));
  }

 private:
  using Clock = std::chrono::steady_clock;
  static double us_since(Clock::time_point start) { return std::chrono::duration<double, std::micro>(Clock::now() - start).count(); }
  struct Runner {
    CollectiveTrial* trial;
    std::function<void()> run;
    std::vector<double> samples;
  };

  double repetition() {
    const Clock::time_point begin = Clock::now();
    for (Runner& runner : runners_) {
      runner.trial->fill();
      comm_.barrier("bench together").wait();
      const Clock::time_point start = Clock::now();
      runner.run();
      runner.samples.push_back(us_since(start));
    }
    return us_since(begin);
  }

  Communicator& comm_;
  std::int64_t repeat_;
  std::vector<Runner> runners_;
};

bool holds_everywhere(Communicator& comm, CollectiveTrial& trial) {
  trial.fill();
  trial.run();
  std::int32_t good = trial.matches() ? 1 : 0;
  comm.all_reduce(buffer_of(std::span(&good, 1)), Reduce::min, "bench correct").wait();
  return good == 1;
}

}  // namespace

CollectiveFigures measure_collective(Communicator& comm, const CollectiveBenchConfig& config, std::int64_t bytes, MpiPeer* peer) {
  CollectiveTrial shared(comm, {.op = config.op, .dtype = config.dtype, .bytes = bytes, .shared = true});
  CollectiveTrial ordinary(comm, {.op = config.op, .dtype = config.dtype, .bytes = bytes, .shared = false});
  CollectiveFigures out{
      .op = config.op, .bytes = shared.bytes(), .dtype = config.dtype, .ranks = comm.size(), .bus_factor = shared.bus_factor()};
  out.correct = holds_everywhere(comm, shared);
  out.correct = holds_everywhere(comm, ordinary) && out.correct;
  Race race(comm, config.repeat);
  race.enter(shared, [&] { shared.run(); });
  race.enter(ordinary, [&] { ordinary.run(); });
  if (peer) race.enter(ordinary, [&] { run_peer(*peer, ordinary.call()); });
  race.run();
  out.shared_us = race.times(0);
  out.ordinary_us = race.times(1);
  if (peer) out.peer_us = race.times(2);
  comm.barrier("bench size").wait();  // peers may still look at our memory
  return out;
}

}  // namespace chorale
