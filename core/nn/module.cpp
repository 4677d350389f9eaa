#include <chorale/core/nn/module.hpp>

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

void Module::set_path(const std::string& path) {
  path_ = path;
  path_key_ = kNoPath;
  for (const char c : path) path_key_ = (path_key_ ^ static_cast<unsigned char>(c)) * 1099511628211u;
  for (const auto& [name, child] : children_) child->set_path(path.empty() ? name : path + "." + name);
}

Parameter& Module::add_parameter(const std::string& name, const Shape& shape, Init init, Segment segment) {
  return *parameters_.emplace_back(name, std::make_unique<Parameter>(shape, init, segment)).second;
}

}  // namespace chorale
