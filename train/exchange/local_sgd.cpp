#include <chorale/train/exchange/local_sgd.hpp>

#include <cmath>
#include <cstring>

#include <chorale/train/exchange/block_update.hpp>
#include <chorale/train/exchange/stopwatch.hpp>

namespace chorale {

namespace {
ExchangeSetup one_worker_a_rank(ExchangeSetup setup) {
  setup.virtual_workers = setup.comm.size();
  return setup;
}
}  // namespace

LocalSgd::LocalSgd(const ExchangeSetup& setup) : setup_(setup), average_(one_worker_a_rank(setup), {.doubled = true, .everywhere = true}) {
  const std::int64_t n = setup.params.trainable_elements();
  Device& device = setup.params.device();
  const Share held = workers_of(setup.comm.rank(), setup.comm.size(), setup.virtual_workers);
  for (std::size_t c = 0; c < maximal_subtrees(setup.virtual_workers, held).size(); ++c) {
    targets_.push_back(gradients_.emplace_back(Tensor::zeros(device, {n}, setup.params.dtype())).buffer());
    bases_.push_back(targets_.back().data);
  }
  const bool has_outer_step = setup.local.outer_lr != 1 || setup.local.outer_momentum != 0;
  if (has_outer_step) outer_ = Tensor::zeros(device, {n}, setup.params.dtype());
  if (has_outer_step || is_narrow()) start_ = Tensor::zeros(device, {n}, setup.params.dtype());
}

StepOutcome LocalSgd::step(FlatParams& params, Optimizer& optimizer, StepOrder order, std::span<const WorkerReport> reports,
                           const RankReport& mine) {
  if (start_.defined() && !in_round_) std::memcpy(start_.raw(), params.values().data, start_.bytes());
  in_round_ = true;
  step_weight_ = 0;
  for (std::size_t w = 0; w < reports.size(); ++w) {
    round_loss_ += reports[w].loss, round_weight_ += reports[w].weight, step_weight_ += reports[w].weight;
    if (bad_step_ > 0 || (std::isfinite(reports[w].loss) && std::isfinite(reports[w].weight))) continue;
    bad_step_ = order.number;
    bad_worker_ = workers_of(setup_.comm.rank(), setup_.comm.size(), setup_.virtual_workers).first + static_cast<std::int64_t>(w);
  }
  Stopwatch watch;
  if (bad_step_ == 0 && step_weight_ > 0) update(params, optimizer, order.number);
  const double update_ms = watch.lap();
  StepOutcome out;
  const bool ends = order.settle || order.number % setup_.local.steps == 0;
  const Stop stop = stops(order.number, ends, mine);
  RankReport told = mine;
  told.stop = std::max(told.stop, stop);
  if (ends || stop != Stop::none) out = end_round(params, optimizer, order, told);
  out.communicate_ms += watch.lap();
  out.update_ms += update_ms;
  return out;
}

void LocalSgd::update(FlatParams& params, Optimizer& optimizer, std::int64_t step) {
  BlockUpdate pass({{0, params.trainable_elements()}}, nullptr, setup_.snapshot);
  with_float_type(params.dtype(), [&]<class T>() {
    for (std::size_t c = 1; c < targets_.size(); ++c)
      params.device().typed<T>().add(targets_[0].as<T>(), targets_[c].as<T>(), targets_[0].as<T>(), targets_[0].elements);
    pass.run<T>(params, optimizer, step, step_weight_, [&](std::int64_t first, std::int64_t) { return targets_[0].as<T>() + first; });
  });
}

Stop LocalSgd::stops(std::int64_t step, bool ends, const RankReport& mine) {
  if (setup_.local.steps <= 2 * kStopEvery) return Stop::none;  // the round's end is as near
  const bool is_due = step % kStopEvery == 0;
  Stop stop = Stop::none;
  if (asks_ && (is_due || ends)) {
    question_.wait();
    asks_ = false;
    stop = static_cast<Stop>(stop_asked_);
  }
  if (asks_) question_.done();  // pushes it on
  if (!is_due || ends || stop != Stop::none) return stop;
  stop_asked_ = static_cast<std::int32_t>(mine.stop);
  question_ = setup_.comm.all_reduce(buffer_of(std::span(&stop_asked_, 1)), Reduce::max, "stop asked");
  asks_ = true;
  return Stop::none;
}

StepOutcome LocalSgd::end_round(FlatParams& params, Optimizer& optimizer, StepOrder order, const RankReport& mine) {
  const Buffer values = params.values().part(0, params.trainable_elements());
  setup_.snapshot.before_write(values);
  std::vector<Buffer> states = optimizer.state();
  if (const Buffer own = optimizer.own_state(); own.elements > 0) states.push_back(own);
  for (const Buffer& state : states) setup_.snapshot.before_write(state);
  if (outer_.defined()) setup_.snapshot.before_write(outer_.buffer());
  if (is_narrow()) add_start(values, -1);  // a small step is lost in a rounded parameter, but not in its own rounding
  StepOutcome out = average(values, order.number, mine);
  if (is_narrow()) add_start(values, 1);
  if (out.bad_worker >= 0) {
    name_bad(out);
    return out;
  }
  if (outer_.defined()) outer_step(values);
  if (order.settle || out.stop != Stop::none)  // a run that stops leaves a checkpoint
    for (const Buffer& state : states) average(state, order.number, mine);
  round_loss_ = round_weight_ = 0;
  in_round_ = false;
  return out;
}

StepOutcome LocalSgd::average(Buffer values, std::int64_t step, const RankReport& mine) {
  const Buffer to = average_.begin()[0];
  const WorkerReport report{bad_step_ > 0 ? std::nan("") : round_loss_, round_weight_};
  StepOutcome out;
  with_float_type(values.dtype, [&]<class T>() {
    for (std::int64_t i = 0; i < values.elements; ++i) to.as<T>()[i] = T(round_weight_) * values.as<T>()[i];
    for (const Bucket& bucket : setup_.buckets) average_.bucket_ready(bucket);
    out = average_.agree(step, std::span(&report, 1), mine);
    const T scale = T(out.weight > 0 ? 1 / out.weight : 0);
    for (std::int64_t first = 0; out.bad_worker < 0 && out.weight > 0 && first < values.elements; first += kBlockElements) {
      const std::int64_t n = std::min(kBlockElements, values.elements - first);
      const T* sum = average_.sum<T>(first, n);
      for (std::int64_t i = 0; i < n; ++i) values.as<T>()[first + i] = sum[i] * scale;
    }
  });
  if (!average_.one_node()) setup_.comm.node().barrier("averages have been read").wait();
  return out;
}

void LocalSgd::add_start(Buffer values, int sign) {
  with_float_type(values.dtype, [&]<class T>() {
    const T* start = start_.data<T>();
    for (std::int64_t i = 0; i < values.elements; ++i) values.as<T>()[i] += T(sign) * start[i];
  });
}

void LocalSgd::outer_step(Buffer values) {
  with_float_type(values.dtype, [&]<class T>() {
    const T rate = T(setup_.local.outer_lr), momentum = T(setup_.local.outer_momentum);
    T *start = start_.data<T>(), *outer = outer_.data<T>(), *p = values.as<T>();
    for (std::int64_t i = 0; i < values.elements; ++i) {
      const T delta = start[i] - p[i];
      outer[i] = momentum * outer[i] + delta;
      p[i] = start[i] - rate * (delta + momentum * outer[i]);
    }
  });
}

void LocalSgd::name_bad(StepOutcome& out) {
  std::vector<std::int64_t> all(2 * static_cast<std::size_t>(setup_.comm.size()));
  const std::vector<std::int64_t> mine = {bad_step_, bad_worker_}, counts(static_cast<std::size_t>(setup_.comm.size()), 2);
  setup_.comm.all_gather(buffer_of(std::span(mine)), buffer_of(std::span(all)), counts, "bad loss").wait();
  const auto rank = static_cast<std::size_t>(out.bad_worker);
  out.bad_step = all[2 * rank], out.bad_worker = all[2 * rank + 1];
}

std::vector<Carried> LocalSgd::carried() const {
  if (!outer_.defined()) return {};
  return {{"outer_momentum", outer_.buffer(), true}};
}

void register_local_sgd(Registry& registry) {
  registry.of<ExchangeEntry>().add(
      "local_sgd", {.help = "updates of each rank's own, averaged every parallel.local_steps",
                    .private_parameters = true,
                    .same_bits = false,
                    .make = [](const ExchangeSetup& s) -> std::unique_ptr<Exchange> { return std::make_unique<LocalSgd>(s); }});
}

}  // namespace chorale
