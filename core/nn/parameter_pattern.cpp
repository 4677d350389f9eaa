#include <chorale/core/nn/parameter_pattern.hpp>

#include <fnmatch.h>

#include <algorithm>
#include <charconv>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {

/// The layer in front of the first dot; -1: it is no number.
long layer_of(std::string_view name) {
  long layer = -1;
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos) return -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + dot, layer);
  return error == std::errc() && end == name.data() + dot ? layer : -1;
}

bool matches(const std::string& pattern, const std::string& name) {
  return ::fnmatch(pattern.c_str(), name.c_str(), 0) == 0 || ::fnmatch((pattern + ".*").c_str(), name.c_str(), 0) == 0;
}

}  // namespace

ParameterNames::ParameterNames(std::vector<std::string> names) : names_(std::move(names)) {
  for (const std::string& name : names_) head_ = std::max(head_, layer_of(name));
}

std::string ParameterNames::alias(std::string_view name) const {
  const long layer = layer_of(name);
  if (layer < 0) return "";
  return layer == head_ ? "head" + std::string(name.substr(name.find('.'))) : "encoder." + std::string(name);
}

bool ParameterNames::is_meant(std::string_view pattern, std::string_view name) const {
  const std::string other = alias(name);
  return matches(std::string(pattern), std::string(name)) || (!other.empty() && matches(std::string(pattern), other));
}

bool ParameterNames::is_meant(const std::vector<std::string>& patterns, std::string_view name) const {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) { return is_meant(pattern, name); });
}

void ParameterNames::require(const std::string& key, const std::string& pattern) const {
  if (std::any_of(names_.begin(), names_.end(), [&](const std::string& name) { return is_meant(pattern, name); })) return;
  throw UsageError(key + ": '" + pattern + "' means no parameter of the model, which has " + text());
}

std::string ParameterNames::text() const {
  std::string out;
  for (const std::string& name : names_) {
    const std::string other = alias(name);
    out += (out.empty() ? "" : ", ") + name + (other.empty() ? "" : " (" + other + ")");
  }
  return out.empty() ? "none" : out;
}

}  // namespace chorale
