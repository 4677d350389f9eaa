// What is left of a run that is tried before it is trusted.
#include <catch2/catch.hpp>

#include <memory>
#include <set>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/tensor_dataset.hpp>
#include <chorale/launcher/rehearsal.hpp>

using namespace chorale;

namespace {
std::shared_ptr<TensorDataset> numbered(std::int64_t rows) {
  auto out = std::make_shared<TensorDataset>(rows);
  std::vector<float> values(static_cast<std::size_t>(rows));
  std::vector<double> costs(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i), costs[i] = static_cast<double>(i + 1);
  out->add("x", {1}, values);
  out->set_costs(costs);
  return out;
}

std::vector<float> values_of(const Dataset& data) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(data.rows()));
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::int64_t>(i);
  std::vector<float> out(rows.size());
  data.gather(0, rows, out.data());
  return out;
}
DataParts parts_of(std::int64_t train, std::int64_t validation = 0, std::int64_t test = 0) {
  DataParts out;
  out.train = numbered(train), out.identity = "all";
  if (validation > 0) out.validation = numbered(validation);
  if (test > 0) out.test = numbered(test);
  return out;
}

TrainOptions options_of(std::int64_t batch, std::int64_t seed) {
  TrainOptions out;
  out.batch = batch, out.seed = seed;
  return out;
}
}  // namespace

TEST_CASE("a few batches are learnt by heart: the same rows train and validate, with their numbers and costs") {
  DataParts data = parts_of(100, 7, 9);
  const TrainOptions options = options_of(8, 3);
  cut_to_batches(options, 3, data);
  const std::vector<float> values = values_of(*data.train);
  CHECK(std::set<float>(values.begin(), values.end()).size() == 24);
  CHECK(values_of(*data.validation) == values);
  CHECK(data.test->rows() == 9);
  CHECK(data.identity != "all");  // a checkpoint of it is no checkpoint of a run on all rows
  for (std::size_t i = 0; i < values.size(); ++i) {
    CHECK(data.train->row_id(static_cast<std::int64_t>(i)) == static_cast<std::int64_t>(values[i]));
    CHECK(data.train->costs()[i] == values[i] + 1);
  }
  DataParts again = parts_of(100), other = parts_of(100);
  cut_to_batches(options, 3, again);
  CHECK(values_of(*again.train) == values);
  cut_to_batches(options_of(8, 4), 3, other);
  CHECK(values_of(*other.train) != values);
  CHECK_THROWS_WITH(cut_to_batches(options, 4, data), Catch::Contains("4 x train.batch = 8 are 32 rows, the training part has 24"));
}

TEST_CASE("a rehearsal makes few updates and scores few rows") {
  Settings settings;
  settings.train.epochs = 90, settings.optimizer.schedule.name = "cosine", settings.optimizer.schedule.warmup_steps = 500;
  DataParts data = parts_of(3000, 2000, 9);
  cut_to_rehearsal(settings, data);
  CHECK(settings.train.steps == kRehearsedSteps);
  CHECK(settings.train.evaluate_every == kRehearsedSteps);
  CHECK(settings.optimizer.schedule.name == ScheduleOptions().name);
  CHECK(data.train->rows() == 3000);
  CHECK(data.validation->rows() == kRehearsedRows);
  CHECK(data.test->rows() == 9);
  DataParts without = parts_of(30);
  CHECK_NOTHROW(cut_to_rehearsal(settings, without));
}
