#include <chorale/launcher/find_lr.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {

constexpr double kSmoothing = 0.95;
constexpr std::size_t kAtLeast = 10;  // updates before a slope says anything

/// Up to the first loss that is not finite.
std::vector<double> smoothed(std::span<const double> losses) {
  std::vector<double> out;
  SmoothedLoss mean;
  for (const double loss : losses) {
    if (!std::isfinite(loss)) break;
    out.push_back(mean.add(loss));
  }
  return out;
}

}  // namespace

double SmoothedLoss::add(double loss) {
  mean_ = kSmoothing * mean_ + (1 - kSmoothing) * loss, weight_ = kSmoothing * weight_ + (1 - kSmoothing);
  return mean_ / weight_;
}

FoundRate judge_rates(std::span<const double> rates, std::span<const double> losses) {
  const std::vector<double> loss = smoothed(losses);
  if (loss.size() <= kAtLeast) return {};
  const auto least = static_cast<std::size_t>(std::min_element(loss.begin(), loss.end()) - loss.begin());
  FoundRate out{.fastest = 0, .lowest = rates[least], .has_fallen = false};
  double steepest = 0;
  for (std::size_t i = kAtLeast; i <= least; ++i) {
    const double slope = (loss[i] - loss[i - 1]) / (std::log(rates[i]) - std::log(rates[i - 1]));
    if (slope < steepest) steepest = slope, out.fastest = rates[i], out.has_fallen = true;
  }
  return out;
}

void RateFinder::prepare(TrainerConfig& config, TrainerParts& parts) {
  config.rate = [](std::int64_t step) {
    return kLeast * std::pow(kGreatest / kLeast, static_cast<double>(step - 1) / static_cast<double>(kSteps - 1));
  };
  config.train.steps = kSteps, config.train.log_every = 1, config.train.on_nan = "stop";
  config.train.ema = 0, config.train.early_stop.clear(), config.train.metrics.clear();
  config.checkpoint_folder.clear(), config.checkpoint.keep_best = 0;
  config.final_evaluation = false;
  config.stop_requested = [this, asked = config.stop_requested] {
    const Stop stop = asked ? asked() : Stop::none;
    return stop == Stop::none && flies_off_ ? Stop::requeue : stop;
  };
  parts.validation = parts.test = nullptr;
}

void RateFinder::on_step(const StepEvent& event) {
  rates_.push_back(event.lr), losses_.push_back(event.loss);
  const double now = smoothed_.add(event.loss);
  if (losses_.size() <= kAtLeast) return;
  least_ = losses_.size() == kAtLeast + 1 ? now : std::min(least_, now);
  flies_off_ = now > 4 * least_;
}

Summary RateFinder::run(Trainer& trainer) {
  Summary summary;
  try {
    summary = trainer.run();
    if (summary.status == "interrupted") return summary;  // what asks to be started again has nothing to go on from
  } catch (const NumericError&) {  // of all ranks at the same update: the rate was too high, which is what was to be found out
    summary.steps = trainer.step();
  }
  summary.status = "done";
  return summary;
}

std::string RateFinder::text() const {
  const FoundRate found = judge_rates(rates_, losses_);
  if (!found.has_fallen)
    return fmt::format("learning rate: the loss did not fall in {} updates from {:g} up; look at the data and the loss", losses_.size(),
                       kLeast);
  std::string out = "   rate      loss (smoothed)\n";
  const std::vector<double> loss = smoothed(losses_);
  for (std::size_t i = 0; i < loss.size(); i += 10) out += fmt::format("   {:<9.2e} {:.5g}\n", rates_[i], loss[i]);
  return out +
         fmt::format(
             "learning rate: the loss falls fastest at {:.2g}, and rises from {:.2g} on; --optimizer.lr {:.2g} is a rate to begin with",
             found.fastest, found.lowest, found.fastest);
}

std::string RateFinder::json() const {
  const FoundRate found = judge_rates(rates_, losses_);
  nlohmann::ordered_json j;
  j["rates"] = rates_, j["losses"] = losses_, j["fastest"] = found.fastest, j["lowest"] = found.lowest, j["has_fallen"] = found.has_fallen;
  return j.dump(2) + "\n";
}

}  // namespace chorale
