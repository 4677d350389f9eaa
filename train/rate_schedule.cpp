#include <chorale/train/rate_schedule.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include <chorale/core/base/option.hpp>

namespace chorale {

namespace {

/// Epochs of optimizer.drop_at, rising.
std::vector<double> drop_epochs(const ScheduleOptions& o) {
  std::vector<double> out;
  for (const std::string& word : o.drop_at) {
    double epoch = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), epoch);
    if (error != std::errc() || end != word.data() + word.size() || !(epoch > (out.empty() ? 0 : out.back())) || !std::isfinite(epoch))
      throw UsageError("optimizer.drop_at = " + list_text(o.drop_at) + " is refused: expected rising epochs above 0, as in 30 60");
    out.push_back(epoch);
  }
  return out;
}

std::vector<std::pair<std::string, bool>> given_keys(const ScheduleOptions& o) {
  const ScheduleOptions usual;
  return {{"schedule_steps", o.steps != usual.steps},
          {"end_factor", o.end_factor != usual.end_factor},
          {"power", o.power != usual.power},
          {"rise_share", o.rise_share != usual.rise_share},
          {"start_factor", o.start_factor != usual.start_factor},
          {"cooldown_share", o.cooldown_share != usual.cooldown_share},
          {"drop_at", o.drop_at != usual.drop_at},
          {"drop_factor", o.drop_factor != usual.drop_factor},
          {"plateau", o.plateau != usual.plateau}};
}

}  // namespace

void check_schedule(const ScheduleOptions& o, const Registry& registry) {
  const auto& all = registry.of<ScheduleEntry>();
  const ScheduleEntry& entry = all.at(o.name, "schedule");
  const auto reads = [](const ScheduleEntry& e, const std::string& key) {
    return std::find(e.reads.begin(), e.reads.end(), key) != e.reads.end();
  };
  for (const auto& [key, is_given] : given_keys(o)) {
    if (!is_given || reads(entry, key)) continue;
    std::string who;
    for (const std::string& name : all.names())
      if (reads(all.at(name, "schedule"), key)) who += (who.empty() ? "" : ", ") + name;
    throw UsageError("optimizer." + key + " does nothing with optimizer.schedule = " + o.name + "; remove it, or use one of " + who);
  }
  if (o.warmup_steps > 0 && o.warmup_epochs > 0) throw UsageError("optimizer.warmup_steps and optimizer.warmup_epochs: give one of them");
  if ((o.warmup_steps > 0 || o.warmup_epochs > 0) && !entry.warms_up)
    throw UsageError("optimizer.schedule = " + o.name + " rises by itself; remove optimizer.warmup_steps and optimizer.warmup_epochs");
  if (reads(entry, "drop_at") && drop_epochs(o).empty())
    throw UsageError("optimizer.schedule = " + o.name + " needs optimizer.drop_at, the epochs at which the rate drops, as in 30 60");
}

RateSchedule::RateSchedule(const ScheduleOptions& options, const Registry& registry, std::int64_t steps_per_epoch, std::int64_t steps)
    : options_(options), entry_(registry.of<ScheduleEntry>().at(options.name, "schedule")) {
  check_schedule(options, registry);
  const auto updates = [&](double epochs) { return static_cast<std::int64_t>(std::ceil(epochs * static_cast<double>(steps_per_epoch))); };
  warmup_ = options.warmup_steps > 0 ? options.warmup_steps : updates(options.warmup_epochs);
  steps_ = options.steps > 0 ? options.steps : steps;
  if (warmup_ > 0 && warmup_ >= steps_)
    throw UsageError(fmt::format("warm-up takes {} of {} updates and leaves none for the rate itself; lower optimizer.warmup_{}", warmup_,
                                 steps_, options.warmup_steps > 0 ? "steps" : "epochs"));
  for (const double epoch : drop_epochs(options)) drops_.push_back(updates(epoch) - warmup_);
  if (entry_.follows_score) plateau_ = EarlyStopping(options.plateau, registry, "optimizer.plateau");
}

double RateSchedule::factor(std::int64_t step) const {
  const std::int64_t done = step - 1;
  if (done < warmup_) return level_ * static_cast<double>(done + 1) / static_cast<double>(warmup_);
  return level_ * entry_.factor(options_, {done - warmup_, std::max<std::int64_t>(1, steps_ - warmup_), drops_});
}

bool RateSchedule::take(const Scores& scores, std::int64_t step) {
  if (!plateau_.active() || plateau_.update(scores, step) || !plateau_.should_stop()) return false;
  plateau_.restore(plateau_.best, plateau_.best_step, 0);
  const double before = level_;
  level_ = std::max(options_.end_factor, level_ * options_.drop_factor);
  return level_ < before;
}

bool RateSchedule::depends_on_rows() const {
  const bool has_length = std::find(entry_.reads.begin(), entry_.reads.end(), "schedule_steps") != entry_.reads.end();
  return options_.warmup_epochs > 0 || !drops_.empty() || (has_length && options_.steps == 0);
}

std::string RateSchedule::text() const {
  std::string out = options_.name;
  if (out == "constant" && warmup_ == 0) return "";
  if (entry_.follows_score) out += " of " + list_text(options_.plateau);
  for (std::size_t i = 0; i < drops_.size(); ++i) out += fmt::format("{}{}", i == 0 ? ", drops after updates " : ", ", drops_[i] + warmup_);
  if (drops_.empty() && !entry_.follows_score && out != "constant") out += fmt::format(" over {} updates", steps_);
  if (warmup_ > 0) out += fmt::format(", warm-up over the first {}", warmup_);
  return out;
}

}  // namespace chorale
