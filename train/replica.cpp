#include <chorale/train/replica.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>

#include <chorale/core/autograd/ops.hpp>

namespace chorale {

namespace {
using Clock = std::chrono::steady_clock;
/// Adds the time since `from` to `sum` and restarts.
void lap(Clock::time_point& from, double& sum) {
  const Clock::time_point now = Clock::now();
  sum += std::chrono::duration<double, std::milli>(now - from).count();
  from = now;
}
}  // namespace

Replica::Replica(const Parts& parts) : parts_(parts), loader_(parts.data, parts.params.device(), parts.params.dtype()) {}

Pass Replica::pass_of(std::int64_t step, std::int64_t first_position) const {
  return {.device = parts_.params.device(),
          .training = true,
          .random_key = mix(mix(parts_.seed, 0x64726F70u), static_cast<std::uint64_t>(step)),
          .first_position = first_position,
          .trace = parts_.trace,
          .observer = parts_.watch};
}

Draw Replica::draw_of(std::int64_t step, std::int64_t first_position) const {
  return {mix(mix(parts_.seed, 0x61756770u), static_cast<std::uint64_t>(step)), first_position};
}

Values Replica::gather(const Dataset& data, std::span<const std::int64_t> rows, Device& device, DType dtype,
                       std::span<const std::string> wanted) {
  return Loader(data, device, dtype).load(rows, wanted);
}

void Replica::compute(Subtree tree, const BatchCut& batch, std::int64_t step, Buffer into, std::vector<WorkerReport>& reports,
                      const std::function<void()>& last) {
  if (taken_step_ != step) take_batch(batch, step);
  subtree(tree, batch, step, into, 0, reports, tree.is_leaf() ? last : std::function<void()>());
}

void Replica::take_batch(const BatchCut& batch, std::int64_t step) {
  taken_step_ = step;
  const std::vector<std::string> fields = parts_.loss.batch_fields();
  if (fields.empty()) return;
  Clock::time_point from = Clock::now();
  parts_.loss.take_batch(loader_.load(batch.rows(), fields));
  lap(from, phases_.data);
}

void Replica::subtree(Subtree tree, const BatchCut& batch, std::int64_t step, Buffer into, std::size_t depth,
                      std::vector<WorkerReport>& reports, const std::function<void()>& last) {
  if (tree.is_leaf()) return reports.push_back(worker(tree.first, batch, step, into, last));
  Device& device = parts_.params.device();
  while (partial_.size() <= depth) partial_.push_back(Tensor::zeros(device, {into.elements}, into.dtype));  // gaps stay 0
  subtree(tree.left(), batch, step, into, depth + 1, reports, {});
  subtree(tree.right(), batch, step, partial_[depth].buffer(), depth + 1, reports, {});
  Clock::time_point from = Clock::now();
  with_float_type(into.dtype,
                  [&]<class T>() { device.typed<T>().add(into.as<T>(), partial_[depth].data<T>(), into.as<T>(), into.elements); });
  lap(from, phases_.backward);
}

WorkerReport Replica::worker(std::int64_t v, const BatchCut& batch, std::int64_t step, Buffer into, const std::function<void()>& last) {
  Device& device = parts_.params.device();
  const Share mine = batch.of(v);
  WorkerReport report;
  bool started = false;
  if (parts_.statistics) parts_.statistics->begin(v);
  for (std::int64_t part = 0; part < parts_.accumulate; ++part) {
    const Share s = share_of(mine.count, part, parts_.accumulate);
    if (s.count == 0) continue;
    Clock::time_point from = Clock::now();
    enter(Activity::reading, "batch");
    const std::int64_t first = mine.first + s.first;
    const std::span<const std::int64_t> rows = batch.rows().subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(s.count));
    const Draw draw = draw_of(step, first);
    const Values in = loader_.load(rows, {}, &draw);
    lap(from, phases_.data);
    const auto forward_start = from;
    enter(Activity::forward);
    parts_.params.bind_gradients(into, started);
    started = true;
    Pass pass = pass_of(step, first);
    if (parts_.statistics) pass.sum_over_ranks = parts_.statistics->sum_over_ranks();
    const Values results = parts_.model.forward(in, pass);
    const LossValue loss = only_ ? parts_.loss.of_task(*only_, results, in) : parts_.loss.of(results, in);
    double weights = 0;
    with_float_type(parts_.params.dtype(), [&]<class T>() {
      report.loss += device.typed<T>().sum(loss.sample_loss.data<T>(), loss.sample_loss.elements());
      weights = device.typed<T>().sum(loss.sample_weight.data<T>(), loss.sample_weight.elements());
    });
    report.weight += weights;
    Variable total = total_loss(loss.total, results, in);
    if (parts_.hook) total = with_hook(total, {v, first, rows, in, results, pass}, weights);
    lap(from, phases_.forward);
    trace_phase("forward", forward_start, from);
    const auto backward_start = from;
    if (last && parts_.accumulate == 1) last();
    if (parts_.trace) parts_.trace->begin_marks();
    enter(Activity::backward);
    backward(total, {}, parts_.watch);
    parts_.params.finish_gradients();
    lap(from, phases_.backward);
    trace_phase("backward", backward_start, from);
  }
  if (!started) device.clear(into.data, into.bytes());
  return report;
}

Variable Replica::total_loss(const Variable& main, const Values& results, const Values& in) const {
  Variable total = main;
  for (const Aim& aim : parts_.aims) {
    Values held = results;
    held.set("y", results.at(aim.result));
    total = total + aim.weight * parts_.loss.of(held, in).total;
  }
  return total;
}

Variable Replica::with_hook(const Variable& total, const WorkerPass& pass, double weights) {
  parts_.hook->on_results(pass);
  const Variable term = parts_.hook->loss_term(pass);
  return term.value().defined() && weights > 0 ? total + weights * term : total;  // losses are sums until the update divides them
}

void Replica::enter(Activity activity, std::string_view what) {
  if (parts_.watch) parts_.watch->enter(activity, what);
}

void Replica::trace_phase(const char* name, Trace::Clock::time_point start, Trace::Clock::time_point end) {
  if (parts_.trace && parts_.trace->is_on()) parts_.trace->add(name, start, end);
}

Phases Replica::take_phases() { return std::exchange(phases_, Phases{}); }

namespace {
std::string samples_text(const Tensor& t, const Dataset& data, std::span<const std::int64_t> rows) {
  std::string text;
  int named = 0;
  const std::int64_t per_row = t.row_elements();
  with_float_type(t.dtype(), [&]<class T>() {
    for (std::int64_t r = 0; r < t.rows(); ++r) {
      if (t.device().template typed<T>().first_not_finite(t.data<T>() + r * per_row, per_row) < 0) continue;
      if (++named <= 5) text += (named > 1 ? ", " : "") + std::to_string(data.row_id(rows[static_cast<std::size_t>(r)]));
    }
  });
  if (named > 5) text += ", ... (" + std::to_string(named) + " in all)";
  return text;
}
}  // namespace

std::string Replica::describe_bad(std::int64_t worker, const BatchCut& batch, std::int64_t step) {
  Device& device = parts_.params.device();
  const DType dtype = parts_.params.dtype();
  std::string parameter;
  with_float_type(dtype, [&]<class T>() {
    const Buffer values = parts_.params.values();
    const std::int64_t bad = device.typed<T>().first_not_finite(values.as<T>(), values.elements);
    if (bad >= 0) parameter = parts_.params.name_at(bad);
  });
  if (!parameter.empty())
    return "the first bad tensor is parameter '" + parameter +
           "', spoilt by the update before; lower optimizer.lr or set optimizer.clip_norm";
  const Share mine = batch.of(worker);
  const auto rows = batch.rows().subspan(static_cast<std::size_t>(mine.first), static_cast<std::size_t>(mine.count));
  const Draw draw = draw_of(step, mine.first);
  Values in = loader_.load(rows, {}, &draw);
  for (const Field& field : parts_.data.fields()) {
    if (field.use == Field::Use::index) continue;
    if (field.name.starts_with("target.")) continue;  // a label of several may be missing, and is finite else
    const std::string samples = samples_text(in.at(field.name).value(), parts_.data, rows);
    if (!samples.empty()) return "the first bad tensor is '" + field.name + "' of samples " + samples;
  }
  const Values results = parts_.model.forward(in, pass_of(step, mine.first));
  std::string samples;
  for (const LossTask& task : parts_.loss.tasks()) {
    samples = samples_text(results.at(task.result).value(), parts_.data, rows);
    if (samples.empty()) continue;
    return "the first bad tensor is the model's result" + (task.name.empty() ? "" : " '" + task.name + "'") + " of samples " + samples +
           "; lower optimizer.lr or scale the features";
  }
  samples = samples_text(parts_.loss.of(results, in).sample_loss, parts_.data, rows);
  if (samples.empty()) return "computed again it is finite: memory or the processor may be at fault";
  return "the first bad tensor is the loss of samples " + samples;
}

}  // namespace chorale
