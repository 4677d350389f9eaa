#include <chorale/train/evaluator.hpp>

#include <algorithm>
#include <numeric>

#include <chorale/comm/rank_watch.hpp>
#include <chorale/train/replica.hpp>

namespace chorale {

MetricEntry::Task metric_task(Loss::Task task) {
  return task == Loss::Task::binary    ? MetricEntry::Task::binary
         : task == Loss::Task::classes ? MetricEntry::Task::classes
                                       : MetricEntry::Task::value;
}

namespace {

std::vector<double> as_doubles(const Tensor& t) {
  std::vector<double> out(static_cast<std::size_t>(t.elements()));
  with_float_type(t.dtype(), [&]<class T>() { std::copy_n(t.data<T>(), out.size(), out.begin()); });
  return out;
}

std::vector<std::int64_t> chunk_rows(std::int64_t chunk, std::int64_t rows) {
  std::vector<std::int64_t> out(static_cast<std::size_t>(std::min(kEvaluationRows, rows - chunk * kEvaluationRows)));
  std::iota(out.begin(), out.end(), chunk * kEvaluationRows);
  return out;
}

std::int64_t chunks_of(const Dataset& data) { return (data.rows() + kEvaluationRows - 1) / kEvaluationRows; }

/// One after the other: length, bytes.
std::vector<std::byte> packed_states(const std::vector<std::unique_ptr<Metric>>& metrics) {
  std::vector<std::byte> out;
  for (const auto& metric : metrics) {
    const std::vector<std::byte> state = metric->state();
    const std::uint64_t size = state.size();
    out.insert(out.end(), reinterpret_cast<const std::byte*>(&size), reinterpret_cast<const std::byte*>(&size) + sizeof size);
    out.insert(out.end(), state.begin(), state.end());
  }
  return out;
}

void merge_states(std::vector<std::unique_ptr<Metric>>& metrics, std::span<const std::byte> bytes) {
  for (auto& metric : metrics) {
    std::uint64_t size = 0;
    std::copy_n(bytes.begin(), sizeof size, reinterpret_cast<std::byte*>(&size));
    metric->merge(bytes.subspan(sizeof size, size));
    bytes = bytes.subspan(sizeof size + size);
  }
}

}  // namespace

std::map<std::string, double> Evaluator::evaluate(const Dataset& data) {
  std::vector<std::string> names = {"loss"};
  for (const std::string& name : parts_.metrics)
    if (name != "loss") names.push_back(name);
  const auto fresh = [&] { return make_metrics(names, parts_.outputs, metric_task(parts_.loss.task()), parts_.registry); };
  std::vector<std::unique_ptr<Metric>> mine = fresh();
  for (std::int64_t chunk = parts_.comm.rank(); chunk < chunks_of(data); chunk += parts_.comm.size()) {
    parts_.comm.watch().beat();
    const Values in = Replica::gather(data, chunk_rows(chunk, data.rows()), parts_.params.device(), parts_.params.dtype());
    const Variable y = parts_.model.forward(in, {.device = parts_.params.device()}).at("y");
    const Variable* weight = in.find("weight");
    const LossValue loss = parts_.loss.forward(y.value(), in.at("target").value(), weight ? weight->value() : Tensor());
    const std::vector<double> prediction = as_doubles(parts_.loss.predict(y.value())), target = as_doubles(in.at("target").value());
    const std::vector<double> sample_loss = as_doubles(loss.sample_loss), used = as_doubles(loss.sample_weight);
    const std::vector<double> given = weight ? as_doubles(weight->value()) : std::vector<double>();
    Scored scored{.rows = y.value().rows(),
                  .outputs = parts_.outputs,
                  .prediction = prediction,
                  .target = target,
                  .weight = used,
                  .sample_loss = sample_loss};
    mine[0]->update(scored);  // the loss counts with the weights that it was computed with, class weights included
    scored.weight = given;
    for (std::size_t m = 1; m < mine.size(); ++m) mine[m]->update(scored);
  }
  std::vector<std::unique_ptr<Metric>> all = fresh();
  for (const auto& state : all_gather_bytes(parts_.comm, packed_states(mine), "metric states")) merge_states(all, state);
  std::map<std::string, double> out;
  tables_.clear();
  for (std::size_t m = 0; m < names.size(); ++m) {
    out[names[m]] = all[m]->value();
    if (std::string table = all[m]->table_json(); !table.empty()) tables_[names[m]] = std::move(table);
  }
  return out;
}

void Evaluator::predict(Module& model, const Loss& loss, FlatParams& params, const Dataset& data,
                        const std::function<void(std::int64_t, const Values&, const Tensor&, const std::vector<double>&)>& take) {
  for (std::int64_t chunk = 0; chunk < chunks_of(data); ++chunk) {
    const Values in = Replica::gather(data, chunk_rows(chunk, data.rows()), params.device(), params.dtype());
    const Variable y = model.forward(in, {.device = params.device()}).at("y");
    take(chunk * kEvaluationRows, in, y.value(), as_doubles(loss.predict(y.value())));
  }
}

}  // namespace chorale
