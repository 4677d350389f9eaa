#include <chorale/train/parameter_groups.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace chorale {

namespace {

std::vector<std::string> names_of(const std::vector<Module::Named>& all) {
  std::vector<std::string> out;
  for (const Module::Named& each : all) out.push_back(each.name);
  return out;
}

std::vector<std::string> names_of(const FlatParams& params) {
  std::vector<std::string> out;
  for (auto it = params.entries().rbegin(); it != params.entries().rend(); ++it) out.push_back(it->name);
  return out;
}

/// The first rule that means it decides.
const PatternNumber* rule_for(const ParameterNames& names, const std::vector<PatternNumber>& rules, const std::string& name) {
  for (const PatternNumber& rule : rules)
    if (names.is_meant(rule.pattern, name)) return &rule;
  return nullptr;
}

}  // namespace

std::vector<PatternNumber> parse_pattern_numbers(const std::string& key, const std::vector<std::string>& words, const std::string& what) {
  std::vector<PatternNumber> out;
  for (const std::string& word : words) {
    const std::size_t colon = word.rfind(':');
    PatternNumber rule{word.substr(0, colon), 0};
    const char* last = word.data() + word.size();
    const bool has_both = colon != std::string::npos && colon > 0;
    const auto [end, error] =
        has_both ? std::from_chars(word.data() + colon + 1, last, rule.number) : std::from_chars(last, last, rule.number);
    if (error != std::errc() || end != last || !std::isfinite(rule.number) || rule.number <= 0)
      throw UsageError(key + ": '" + word + "' is refused: write PATTERN:NUMBER, for instance encoder:5, the number being " + what);
    out.push_back(std::move(rule));
  }
  return out;
}

namespace {

std::vector<PatternNumber> unfreezing(const TrainOptions& o, double steps_per_epoch) {
  std::vector<PatternNumber> out = parse_pattern_numbers("train.unfreeze", o.unfreeze, "epochs above 0");
  for (PatternNumber& rule : out) rule.number = std::ceil(rule.number * steps_per_epoch);
  for (const PatternNumber& rule : parse_pattern_numbers("train.unfreeze_steps", o.unfreeze_steps, "updates above 0")) out.push_back(rule);
  return out;
}

}  // namespace

Module& freeze(Module& model, const TrainOptions& options) {
  if (options.freeze.empty()) return model;
  const std::vector<Module::Named> all = model.parameters();
  const ParameterNames names(names_of(all));
  for (const std::string& pattern : options.freeze) names.require("train.freeze", pattern);
  const std::vector<PatternNumber> later = unfreezing(options, 1);
  bool trains = false;
  for (const auto& [name, parameter] : all) {
    if (names.is_meant(options.freeze, name) && !rule_for(names, later, name)) parameter->freeze();
    trains = trains || parameter->segment() == Segment::trainable;
  }
  if (!trains) throw UsageError("train.freeze = " + list_text(options.freeze) + " leaves nothing to train; the model has " + names.text());
  return model;
}

ParameterGroups::ParameterGroups(FlatParams& params, const TrainOptions& options, const std::vector<std::string>& lr_factors,
                                 const Optimizer& optimizer, std::int64_t steps_per_epoch, const HoldRule& hold)
    : params_(params) {
  const ParameterNames names(names_of(params));
  const std::vector<PatternNumber> later = unfreezing(options, static_cast<double>(steps_per_epoch));
  const std::vector<PatternNumber> rates = parse_pattern_numbers("optimizer.lr_factors", lr_factors, "above 0; train.freeze stops them");
  for (const PatternNumber& rule : later) names.require("train.unfreeze", rule.pattern);
  for (const PatternNumber& rule : rates) names.require("optimizer.lr_factors", rule.pattern);
  const OptimizerConfig& config = optimizer.config();
  const bool leaves_out = !config.decay_all && (config.weight_decay != 0 || optimizer.needs().sums > 0);
  for (const FlatParams::Entry& e : params.entries()) {
    Rule rule;
    rule.decays = !leaves_out || e.parameter->shape().rank() > 1;
    if (const PatternNumber* found = rule_for(names, rates, e.name)) rule.lr_factor = found->number;
    if (const PatternNumber* found = rule_for(names, later, e.name)) rule.first_step = static_cast<std::int64_t>(found->number) + 1;
    const bool ends = hold.last_step > 0 && hold.holds(e.name);
    if (ends) rule.last_step = hold.last_step;
    rules_.push_back(rule);
    holds_ = holds_ || rule.first_step > 1 || ends;
  }
}

std::vector<ParameterGroup> ParameterGroups::groups() const {
  std::vector<ParameterGroup> out;
  bool differ = false;
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    const FlatParams::Entry& e = params_.entries()[i];
    if (e.parameter->segment() != Segment::trainable) break;
    const Rule& rule = rules_[i];
    differ = differ || rule != Rule();
    const bool goes_on = !out.empty() && rules_[i - 1] == rule;
    if (!goes_on)
      out.push_back({.first = e.first,
                     .last = 0,
                     .lr_factor = rule.lr_factor,
                     .first_step = rule.first_step,
                     .last_step = rule.last_step,
                     .decays = rule.decays});
    const bool is_last = i + 1 == rules_.size() || params_.entries()[i + 1].parameter->segment() != Segment::trainable;
    out.back().last = is_last ? params_.trainable_elements() : params_.entries()[i + 1].first;  // the gap behind it is nobody else's
  }
  return differ ? out : std::vector<ParameterGroup>();
}

void ParameterGroups::begin_step(std::int64_t step) {
  if (!holds_) return;
  for (std::size_t i = 0; i < rules_.size(); ++i)
    params_.entries()[i].parameter->set_held(step < rules_[i].first_step || step > rules_[i].last_step);
}

std::int64_t ParameterGroups::without_decay() const {
  std::int64_t count = 0;
  for (std::size_t i = 0; i < rules_.size(); ++i)
    count += !rules_[i].decays && params_.entries()[i].parameter->segment() != Segment::buffer;  // statistics never decay
  return count;
}

std::string ParameterGroups::text() const {
  std::string out;
  for (std::size_t i = rules_.size(); i-- > 0;) {
    const double factor = rules_[i].lr_factor;
    const std::int64_t first_step = rules_[i].first_step;
    const FlatParams::Entry& e = params_.entries()[i];
    const bool is_frozen = e.parameter->segment() == Segment::frozen;
    if (!is_frozen && factor == 1 && first_step == 1) continue;
    out += (out.empty() ? "" : ", ") + e.name;
    if (is_frozen) out += " frozen";
    if (!is_frozen && first_step > 1) out += fmt::format(" from step {}", first_step);
    if (!is_frozen && factor != 1) out += fmt::format(" at {:g} times the rate", factor);
  }
  return out;
}

}  // namespace chorale
