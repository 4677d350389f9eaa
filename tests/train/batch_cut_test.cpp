// parallel.balance = cost: rows that differ in what they take are dealt out so that no virtual worker waits long for another.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <chorale/train/batch_cut.hpp>
#include <chorale/tests/train/run_ranks.hpp>

using namespace chorale;

namespace {

/// Most are short, a few are long, as sentences are.
std::vector<double> lengths(std::int64_t rows, std::uint64_t seed) {
  std::vector<double> out;
  RandomStream random(seed);
  for (std::int64_t r = 0; r < rows; ++r) out.push_back(std::ceil(std::exp(3 + 1.2 * random.normal())));
  return out;
}

/// The dearest worker's cost over the mean.
double imbalance(const BatchCut& cut, std::int64_t workers, const std::vector<double>& costs) {
  double most = 0, all = 0;
  for (std::int64_t v = 0; v < workers; ++v) {
    const Share share = cut.of(v);
    double sum = 0;
    for (const std::int64_t row : cut.rows().subspan(static_cast<std::size_t>(share.first), static_cast<std::size_t>(share.count)))
      sum += costs[static_cast<std::size_t>(row)];
    most = std::max(most, sum), all += sum;
  }
  return most / (all / static_cast<double>(workers));
}

SmallRun run_by_cost() {
  SmallRun run;
  const auto data = small_data(203, 7, 1);
  data->set_costs(lengths(203, 3));
  run.train = data;
  run.config.train.batch = 32;
  run.config.train.epochs = 2;
  run.config.parallel.virtual_workers = 4;
  run.config.parallel.balance = "cost";
  run.optimizer.lr = 0.01;
  return run;
}

}  // namespace

TEST_CASE("by cost, every row of a batch goes to one worker, in the order of the batch, and costs come out nearly equal") {
  double over_by_cost = 0, over_by_rows = 0;  // what the dearest worker has beyond the mean
  for (const std::uint64_t seed : {1, 2, 3, 4, 5})
    for (const std::int64_t workers : {1, 2, 4, 7})
      for (const std::size_t size : {0, 3, 64, 65}) {
        CAPTURE(seed, workers, size);
        const std::vector<double> costs = lengths(100, seed);
        std::vector<std::int64_t> batch(100);
        std::iota(batch.rbegin(), batch.rend(), std::int64_t{0});
        batch.resize(size);
        BatchCut by_cost(workers, costs), by_rows(workers, {});
        by_cost.take(batch), by_rows.take(batch);
        std::vector<std::int64_t> seen;
        for (std::int64_t v = 0; v < workers; ++v) {
          const Share share = by_cost.of(v);
          CHECK(share.first == static_cast<std::int64_t>(seen.size()));
          const auto rows = by_cost.rows().subspan(static_cast<std::size_t>(share.first), static_cast<std::size_t>(share.count));
          CHECK(std::is_sorted(rows.rbegin(), rows.rend()));
          if (size >= static_cast<std::size_t>(workers)) CHECK(share.count > 0);
          seen.insert(seen.end(), rows.begin(), rows.end());
        }
        std::sort(seen.rbegin(), seen.rend());
        CHECK(seen == batch);
        if (size < 64 || workers == 1) continue;
        double dearest = 0, all = 0;
        for (const std::int64_t row : batch)
          dearest = std::max(dearest, costs[static_cast<std::size_t>(row)]), all += costs[static_cast<std::size_t>(row)];
        const double mean = all / static_cast<double>(workers), found = imbalance(by_cost, workers, costs);
        CHECK(found <= 4.0 / 3 * std::max(1.0, dearest / mean));  // Graham's bound over a lower bound of the best
        CHECK(found <= imbalance(by_rows, workers, costs));
        over_by_cost += found - 1, over_by_rows += imbalance(by_rows, workers, costs) - 1;
        BatchCut again(workers, costs);
        again.take(std::span(batch).first(size / 2)), again.take(batch);  // no batch remembers the one before
        CHECK(std::equal(again.rows().begin(), again.rows().end(), by_cost.rows().begin()));
      }
  CHECK(over_by_cost < over_by_rows / 4);
}

TEST_CASE("equal costs deal rows out evenly, ties by position") {
  const std::vector<double> costs(8, 2.5);
  const std::vector<std::int64_t> batch = {7, 6, 5, 4, 3, 2, 1};
  BatchCut cut(3, costs);
  cut.take(batch);
  CHECK(std::vector<std::int64_t>(cut.rows().begin(), cut.rows().end()) == std::vector<std::int64_t>{7, 4, 1, 6, 3, 5, 2});
  CHECK((cut.of(0).count == 3 && cut.of(1).count == 2 && cut.of(2).count == 2));
}

TEST_CASE("balanced by cost, bits are equal at every number of ranks, in every exchange") {
  const auto reference = run_by_cost().run();
  CHECK(reference.errors[0] == "");
  SmallRun by_rows = run_by_cost();
  by_rows.config.parallel.balance = "rows";
  CHECK(by_rows.run().summary.parameters_hash != reference.summary.parameters_hash);  // it is another cut, and other dropout
  for (const std::string exchange : {"replicated", "shared", "sharded"})
    for (const auto& [ranks, nodes] : std::vector<std::pair<int, int>>{{1, 1}, {2, 1}, {3, 1}, {4, 1}, {2, 2}, {4, 2}}) {
      CAPTURE(exchange, ranks, nodes);
      SmallRun run = run_by_cost();
      run.config.parallel.exchange = exchange;
      run.ranks = ranks, run.nodes = nodes;
      const auto found = run.run();
      for (const std::string& error : found.errors) CHECK(error == "");
      for (const std::string& hash : found.hashes) CHECK(hash == reference.summary.parameters_hash);
      CHECK(found.summary.metrics == reference.summary.metrics);
    }
}

TEST_CASE("balanced by cost, a step is that of the same batch in one piece") {
  for (const std::int64_t accumulate : {1, 2}) {
    SmallRun parts = run_by_cost();
    parts.layers = "linear(16) tanh linear(1)";  // no dropout, whose numbers go by position
    parts.optimizer.name = "sgd", parts.optimizer.lr = 0.1;
    parts.config.train.accumulate = accumulate;
    SmallRun whole = parts;
    whole.config.parallel.virtual_workers = 1, whole.config.parallel.balance = "rows";
    parts.ranks = 3;
    const auto a = parts.run(), b = whole.run();
    REQUIRE(a.parameters.size() == b.parameters.size());
    double difference = 0, length = 0;
    for (std::size_t i = 0; i < a.parameters.size(); ++i)
      difference += std::pow(a.parameters[i] - b.parameters[i], 2), length += std::pow(b.parameters[i], 2);
    CHECK(std::sqrt(difference / length) < 1e-6);  // f32 sums in another order, 14 updates
    CHECK(std::abs(a.summary.metrics.at("train").at("loss") - b.summary.metrics.at("train").at("loss")) < 1e-6);
  }
}

TEST_CASE("balancing by costs that nobody gives, or that make no sense, is refused with a remedy") {
  SmallRun run = run_by_cost();
  run.train = small_data(203, 7, 1);
  CHECK_THAT(run.run().errors[0], Catch::Contains("these data say nothing") && Catch::Contains("Dataset::costs()"));
  const auto data = small_data(203, 7, 1);
  CHECK_THROWS_WITH(data->set_costs({1, 2}), Catch::Contains("expected a cost for each of 203 rows, got 2"));
  std::vector<double> costs = lengths(203, 3);
  for (const double bad : {0.0, -1.0, std::nan("")}) {
    costs[17] = bad;
    data->set_costs(costs);
    run.train = data;
    CHECK_THAT(run.run().errors[0], Catch::Contains("the cost of row 17") && Catch::Contains("give finite costs above 0"));
  }
  run.config.parallel.balance = "costs";
  CHECK_THAT(run.run().errors[0], Catch::Contains("expected rows or cost"));
}
