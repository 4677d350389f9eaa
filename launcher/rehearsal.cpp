#include <chorale/launcher/rehearsal.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/chosen_rows.hpp>
#include <chorale/core/data/sampler.hpp>

namespace chorale {

namespace {
void keep_first(std::shared_ptr<const Dataset>& part) {
  if (!part || part->rows() <= kRehearsedRows) return;
  std::vector<std::int64_t> rows(static_cast<std::size_t>(kRehearsedRows));
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  part = std::make_shared<ChosenRows>(part, std::move(rows));
}
}  // namespace

std::string cut_to_rehearsal(Settings& settings, DataParts& data) {
  settings.train.steps = settings.train.evaluate_every = kRehearsedSteps;
  settings.train.log_every = 1;
  settings.optimizer.schedule = {};
  keep_first(data.validation), keep_first(data.test);
  return fmt::format("--fast-dev-run: {} updates, an evaluation of at most {} rows and a checkpoint; the rate has no schedule",
                     kRehearsedSteps, kRehearsedRows);
}

std::string cut_to_batches(const TrainOptions& options, std::int64_t batches, DataParts& data) {
  const std::int64_t wanted = batches * options.batch, there = data.train->rows();
  if (wanted > there)
    throw UsageError(fmt::format("--overfit-batches {} x train.batch = {} are {} rows, the training part has {}; give fewer", batches,
                                 options.batch, wanted, there));
  Sampler sampler({.rows = there, .batch = options.batch, .seed = static_cast<std::uint64_t>(options.seed), .shuffle = true});
  std::vector<std::int64_t> rows;
  for (std::int64_t step = 0; step < batches; ++step) {
    const std::span<const std::int64_t> batch = sampler.rows(0, step);
    rows.insert(rows.end(), batch.begin(), batch.end());
  }
  data.train = std::make_shared<ChosenRows>(data.train, std::move(rows));
  data.validation = data.train;
  data.identity += fmt::format("; {} batches", batches);
  return fmt::format("--overfit-batches: {} rows are trained on and validated with", wanted);
}

}  // namespace chorale
