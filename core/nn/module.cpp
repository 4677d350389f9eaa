#include <chorale/core/nn/module.hpp>

#include <chorale/core/autograd/ops.hpp>

namespace chorale {

std::vector<Module::Named> Module::parameters() const {
  std::vector<Named> out;
  collect("", out);
  return out;
}

void Module::collect(const std::string& prefix, std::vector<Named>& out) const {
  for (const auto& [name, parameter] : parameters_) out.push_back({prefix + name, parameter.get()});
  for (const auto& [name, child] : children_) child->collect(prefix + name + ".", out);
}

std::vector<RunningStatistics*> Module::statistics() const {
  std::vector<RunningStatistics*> out;
  collect(out);
  return out;
}

void Module::collect(std::vector<RunningStatistics*>& out) const {
  for (const auto& each : statistics_) out.push_back(each.get());
  for (const auto& [name, child] : children_) child->collect(out);
}

void Module::set_path(const std::string& path) {
  path_ = path;
  path_key_ = kNoPath;
  for (const char c : path) path_key_ = (path_key_ ^ static_cast<unsigned char>(c)) * 1099511628211u;
  for (const auto& [name, child] : children_) child->set_path(path.empty() ? name : path + "." + name);
}

Parameter& Module::add_parameter(const std::string& name, const Shape& shape, Init init, Segment segment) {
  return *parameters_.emplace_back(name, std::make_unique<Parameter>(shape, init, segment)).second;
}

RunningStatistics& Module::add_statistics(std::int64_t channels, const RunningStatistics::Options& options) {
  Parameter& mean = add_parameter("running_mean", {channels}, {Init::Role::zeros}, Segment::buffer);
  Parameter& variance = add_parameter("running_var", {channels}, {Init::Role::ones}, Segment::buffer);
  Parameter& batches = add_parameter("num_batches_tracked", Shape{}, {Init::Role::zeros}, Segment::buffer);
  return *statistics_.emplace_back(std::make_unique<RunningStatistics>(RunningStatistics::Places{mean, variance, batches}, options));
}

Variable Layer::forward_with_epilogue(const Variable& x, const Epilogue& epilogue, const Pass& pass) {
  Variable y = forward(x, pass);
  if (epilogue.addend.value().defined()) y = y + epilogue.addend;
  return epilogue.has_relu ? relu(y) : y;
}

}  // namespace chorale
