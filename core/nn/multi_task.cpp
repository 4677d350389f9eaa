#include <chorale/core/nn/multi_task.hpp>

#include <set>

#include <chorale/core/autograd/ops.hpp>

namespace chorale {

MultiTask::MultiTask(MultiTaskOptions options) : options_(std::move(options)) {
  if (options_.tasks.size() < 2)
    throw UsageError("a model of several tasks needs two targets at least, got " + std::to_string(options_.tasks.size()) +
                     "; name them in data.target, or use model.kind = layers");
  std::set<std::string> names;
  for (const TaskOutput& task : options_.tasks)
    if (!names.insert(task.name).second) throw UsageError("two tasks are named '" + task.name + "'; name each target once");
  if (options_.expert_layers.empty())
    throw UsageError("model.expert_layers is empty; write the layers that tasks share, for instance linear(64) relu");
}

void MultiTask::make_towers(std::int64_t width, const Registry& registry) {
  for (const TaskOutput& task : options_.tasks) {
    const std::string layers = options_.tower_layers + " linear(" + std::to_string(task.outputs) + ")";
    towers_.push_back(build_layers(layers, {width}, registry));
    if (const Shape out = towers_.back()->output_shape({width}); out.rank() != 1)
      throw UsageError("model.tower_layers gives rows of " + out.text() + ", expected one number a result; put flatten at its end");
    add_child("towers." + task.name, *towers_.back());
  }
  for (const TaskOutput& task : options_.tasks)
    if (options_.learns_weights) log_variances_.push_back(&add_parameter("log_variance." + task.name, {1}, {Init::Role::zeros}));
}

Values MultiTask::forward(const Values& in, const Pass& pass) {
  const std::vector<Variable> h = represent(in.at("x"), pass);
  Values out;
  for (std::size_t t = 0; t < towers_.size(); ++t) out.set("y." + options_.tasks[t].name, towers_[t]->forward(h[t], pass));
  for (std::size_t t = 0; pass.training && t < log_variances_.size(); ++t)
    out.set("log_variance." + options_.tasks[t].name, log_variances_[t]->use(true));
  return out;
}

ExpertList make_experts(const std::string& layers, std::int64_t count, std::int64_t in, const Registry& registry) {
  ExpertList out;
  for (std::int64_t e = 0; e < count; ++e) out.push_back(build_layers(layers, {in}, registry));
  if (const Shape row = out.at(0)->output_shape({in}); row.rank() != 1)
    throw UsageError("model.expert_layers gives rows of " + row.text() + ", expected flat ones; put flatten at its end");
  return out;
}

std::int64_t expert_width(const ExpertList& experts, std::int64_t in) { return experts.at(0)->output_shape({in})[0]; }

std::vector<Variable> run_experts(const ExpertList& experts, const Variable& x, const Pass& pass) {
  std::vector<Variable> out;
  for (const auto& expert : experts) out.push_back(expert->forward(x, pass));
  return out;
}

Variable gated(Linear& gate, const Variable& x, const std::vector<Variable>& experts, const Pass& pass) {
  return mix(softmax(gate.forward(x, pass)), experts);
}

}  // namespace chorale
