#include <chorale/train/evaluator.hpp>

#include <algorithm>
#include <numeric>

#include <chorale/comm/rank_watch.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/core/loss/multi_task_loss.hpp>
#include <chorale/train/loader.hpp>

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

std::vector<std::int64_t> chunk_rows(std::int64_t chunk, const Dataset& data) {
  const std::int64_t most = evaluation_rows(data);
  std::vector<std::int64_t> out(static_cast<std::size_t>(std::min(most, data.rows() - chunk * most)));
  std::iota(out.begin(), out.end(), chunk * most);
  return out;
}

std::int64_t chunks_of(const Dataset& data) { return (data.rows() + evaluation_rows(data) - 1) / evaluation_rows(data); }

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

std::int64_t evaluation_rows(const Dataset& data) {
  for (const Field& field : data.fields())
    if (field.name == "tokens") return std::max<std::int64_t>(1, kEvaluationRows / field.row_shape.elements());
  return kEvaluationRows;
}

std::vector<std::vector<std::string>> metrics_by_task(const std::vector<std::string>& words, const std::vector<LossTask>& tasks,
                                                      const Registry& registry) {
  std::vector<std::vector<std::string>> out(tasks.size(), {"loss"});
  const bool one = tasks.size() == 1;  // make_metrics says what such targets cannot have
  for (auto word = words.begin(); word != words.end(); ++word) {
    if (std::find(words.begin(), word, *word) != word) throw UsageError("metric '" + *word + "' is named twice; remove one");
    std::string metric = *word;
    const LossTask* only = nullptr;
    for (const LossTask& task : tasks)
      if (!task.name.empty() && word->starts_with(task.name + ".")) only = &task, metric = word->substr(task.name.size() + 1);
    const MetricEntry& entry = registry.of<MetricEntry>().at(metric, "metric");
    bool used = false;
    for (std::size_t t = 0; t < tasks.size(); ++t) {
      if ((only && only != &tasks[t]) || (!only && !one && !fits(entry, metric_task(tasks[t].loss->task())))) continue;
      used = true;
      if (std::find(out[t].begin(), out[t].end(), metric) == out[t].end()) out[t].push_back(metric);
    }
    if (!used) throw UsageError("metric '" + metric + "' fits none of the targets; remove it, or change a loss");
  }
  return out;
}

std::vector<std::int64_t> outputs_by_task(Module& model, Objective& loss, FlatParams& params, const Dataset& data) {
  const std::int64_t row = 0;
  const Values in = Loader(data, params.device(), params.dtype()).load(std::span(&row, 1));
  const Values results = model.forward(in, {.device = params.device()});
  std::vector<std::int64_t> out;
  for (const LossTask& task : loss.tasks()) {
    const Tensor& y = results.at(task.result).value();
    out.push_back(y.shape().rank() == 3 ? y.shape()[-1] : y.row_elements());
  }
  return out;
}

Evaluator::Evaluator(const Parts& parts)
    : parts_(parts), tasks_(parts.loss.tasks()), names_(metrics_by_task(parts.metrics, tasks_, parts.registry)) {
  fresh();
}

std::vector<std::unique_ptr<Metric>> Evaluator::fresh() const {
  std::vector<std::unique_ptr<Metric>> out;
  for (std::size_t t = 0; t < tasks_.size(); ++t)
    for (auto& metric : make_metrics(names_[t], parts_.outputs[t], metric_task(tasks_[t].loss->task()), parts_.registry))
      out.push_back(std::move(metric));
  return out;
}

void Evaluator::score(std::size_t t, const Values& results, const Values& in, std::span<const std::unique_ptr<Metric>> metrics) {
  const LossTask& task = tasks_[t];
  const Tensor& y = results.at(task.result).value();
  const Variable* given = in.find("weight");
  Labelled rows{in.at(task.target).value(), given ? given->value() : Tensor()};
  if (tasks_.size() > 1) rows = labelled(rows.target, rows.weight);  // rows without a label weigh 0, which metrics leave out
  const LossValue loss = task.loss->forward(y, rows.target, rows.weight);
  const std::vector<double> prediction = as_doubles(task.loss->predict(y)), target = as_doubles(rows.target);
  const std::vector<double> sample_loss = as_doubles(loss.sample_loss), used = as_doubles(loss.sample_weight);
  const std::vector<double> weight = rows.weight.defined() ? as_doubles(rows.weight) : std::vector<double>();
  Scored scored{.rows = static_cast<std::int64_t>(target.size()),  // of sequences every place
                .outputs = parts_.outputs[t],
                .prediction = prediction,
                .target = target,
                .weight = used,
                .sample_loss = sample_loss};
  metrics[0]->update(scored);  // the loss counts with the weights that it was computed with, class weights included
  scored.weight = weight;
  for (const auto& metric : metrics.subspan(1)) metric->update(scored);
}

void Evaluator::add_means(std::map<std::string, double>& scores) const {
  if (tasks_.size() == 1) return;
  std::map<std::string, std::pair<double, int>> sums;
  for (std::size_t t = 0; t < tasks_.size(); ++t)
    for (const std::string& name : names_[t]) {
      auto& [sum, count] = sums[name];
      sum += scores.at(tasks_[t].score(name)) * (name == "loss" ? tasks_[t].weight : 1);
      ++count;
    }
  for (const auto& [name, sum] : sums) scores[name] = name == "loss" ? sum.first : sum.first / sum.second;
}

std::map<std::string, double> Evaluator::evaluate(const Dataset& data) {
  const std::vector<std::unique_ptr<Metric>> mine = fresh();
  Loader loader(data, parts_.params.device(), parts_.params.dtype());
  for (std::int64_t chunk = parts_.comm.rank(); chunk < chunks_of(data); chunk += parts_.comm.size()) {
    parts_.comm.watch().beat();
    const Values in = loader.load(chunk_rows(chunk, data));
    const Values results = parts_.model.forward(in, {.device = parts_.params.device()});
    std::size_t first = 0;
    for (std::size_t t = 0; t < tasks_.size(); first += names_[t++].size())
      score(t, results, in, std::span(mine).subspan(first, names_[t].size()));
  }
  std::vector<std::unique_ptr<Metric>> all = fresh();
  for (const auto& state : all_gather_bytes(parts_.comm, packed_states(mine), "metric states")) merge_states(all, state);
  std::map<std::string, double> out;
  tables_.clear();
  std::size_t m = 0;
  for (std::size_t t = 0; t < tasks_.size(); ++t)
    for (const std::string& name : names_[t]) {
      const Metric& metric = *all[m++];
      out[tasks_[t].score(name)] = metric.value();
      if (std::string table = metric.table_json(); !table.empty()) tables_[tasks_[t].score(name)] = std::move(table);
    }
  add_means(out);
  return out;
}

void Evaluator::predict(Module& model, Objective& loss, FlatParams& params, const Dataset& data, const Take& take) {
  const std::vector<LossTask> tasks = loss.tasks();
  Loader loader(data, params.device(), params.dtype());
  for (std::int64_t chunk = 0; chunk < chunks_of(data); ++chunk) {
    const Values in = loader.load(chunk_rows(chunk, data));
    const Values results = model.forward(in, {.device = params.device()});
    for (std::size_t t = 0; t < tasks.size(); ++t) {
      const Tensor& y = results.at(tasks[t].result).value();
      take(t, chunk * evaluation_rows(data), in, y, as_doubles(tasks[t].loss->predict(y)));
    }
  }
}

}  // namespace chorale
