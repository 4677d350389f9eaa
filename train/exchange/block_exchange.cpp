#include <chorale/train/exchange/block_exchange.hpp>

#include <chorale/train/exchange/stopwatch.hpp>

namespace chorale {

StepOutcome BlockExchange::step(FlatParams& params, Optimizer& optimizer, StepOrder order, std::span<const WorkerReport> reports,
                                const RankReport& mine) {
  StepOutcome out = sum_.agree(order.number, reports, mine);
  if (out.bad_worker >= 0) {
    GradientView none{.params = params, .sums = {}, .step = order.number};
    if (on_gradients_) on_gradients_(none);
    return out;
  }
  mean_loss_ = out.weight > 0 ? out.loss / out.weight : 0;
  Stopwatch watch;
  {
    const TraceSpan span(trace_, "update");
    update(params, optimizer, order.number, out.weight);
  }
  out.update_ms = watch.lap();
  const TraceSpan span(trace_, "wait: parameters");
  publish(params);
  out.communicate_ms += watch.lap();
  return out;
}

void BlockExchange::update(FlatParams& params, Optimizer& optimizer, std::int64_t step, double weight) {
  with_float_type(params.dtype(), [&]<class T>() {
    update_.run<T>(params, optimizer, step, weight, [&](std::int64_t first, std::int64_t n) { return sum_.sum<T>(first, n); });
  });
}

}  // namespace chorale
