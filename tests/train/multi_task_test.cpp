// Training of several tasks: the same bits at every number of ranks, labels that are missing, projected gradients.
#include "run_ranks.hpp"

#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

#include <chorale/core/loss/multi_task_loss.hpp>
#include <chorale/core/nn/multi_task.hpp>
#include <chorale/train/gradient_surgery.hpp>
#include <chorale/train/pcgrad.hpp>

using namespace chorale;

namespace {

constexpr std::int64_t kFeatures = 7;

/// Two tasks over the same rows; of each a third of the labels is missing.
std::shared_ptr<TensorDataset> two_targets(std::int64_t rows, std::uint64_t seed, float missing = std::numeric_limits<float>::quiet_NaN()) {
  auto data = std::make_shared<TensorDataset>(rows);
  std::vector<float> x, buys, spend;
  RandomStream random(seed);
  for (std::int64_t r = 0; r < rows; ++r) {
    double score = 0, amount = 0;
    for (std::int64_t f = 0; f < kFeatures; ++f) {
      x.push_back(static_cast<float>(random.normal()));
      score += x.back() * (f % 3 == 0 ? 1 : -0.5), amount += x.back() * (f % 2 == 0 ? -1 : 0.5);
    }
    buys.push_back(r % 3 == 0 ? missing : score > 0 ? 1.0f : 0.0f);
    spend.push_back(r % 3 == 1 ? missing : static_cast<float>(amount));
  }
  data->add("x", {kFeatures}, std::move(x));
  data->add("target.buys", {}, std::move(buys));
  data->add("target.spend", {}, std::move(spend));
  return data;
}

struct TaskRun {
  std::string kind = "mmoe", exchange = "auto", surgery = "none";
  bool learns_weights = false;
  int ranks = 1;
  std::int64_t workers = 6;
  std::vector<std::string> metrics = {"auc", "rmse"}, early_stop = {};
  std::shared_ptr<Dataset> train = two_targets(203, 1), validation = two_targets(150, 2);

  struct Result {
    Summary summary;
    std::vector<std::string> hashes, errors;  // by rank
  };
  Result run() const {
    auto comms = make_thread_communicators(ranks);
    Result out;
    out.hashes.resize(static_cast<std::size_t>(ranks)), out.errors.resize(static_cast<std::size_t>(ranks));
    std::vector<std::thread> threads;
    for (int r = 0; r < ranks; ++r)
      threads.emplace_back([&, r] {
        Communicator& comm = *comms[static_cast<std::size_t>(r)];
        try {
          const Summary summary = run_rank(comm);
          out.hashes[static_cast<std::size_t>(r)] = summary.parameters_hash;
          if (r == 0) out.summary = summary;
        } catch (const std::exception& e) {
          out.errors[static_cast<std::size_t>(r)] = e.what();
          comm.abort(e.what());
        }
      });
    for (std::thread& thread : threads) thread.join();
    return out;
  }

 private:
  Summary run_rank(Communicator& comm) const {
    Registry registry;
    register_all(registry);
    SilentLog log;
    const auto device = make_cpu_device();
    const auto model = registry.of<MultiTaskEntry>()
                           .at(kind, "model")
                           .make({.tasks = {{"buys", 1}, {"spend", 1}},
                                  .expert_layers = "linear(16) relu dropout(0.1)",
                                  .tower_layers = "linear(5) tanh",
                                  .learns_weights = learns_weights},
                                 kFeatures, registry);
    std::vector<MultiTaskLoss::Task> tasks;
    tasks.push_back({.name = "buys", .loss = registry.of<LossEntry>().at("binary_cross_entropy", "loss").make({})});
    tasks.push_back({.name = "spend", .loss = registry.of<LossEntry>().at("mse", "loss").make({})});
    MultiTaskLoss loss(std::move(tasks), learns_weights);
    const auto rule = make_optimizer({.name = "adam", .lr = 0.01}, registry);
    TrainerConfig config;
    config.train.batch = 32, config.train.epochs = 6, config.train.metrics = metrics, config.train.early_stop = early_stop;
    config.train.gradient_surgery = surgery;
    config.parallel.virtual_workers = workers, config.parallel.exchange = exchange;
    TrainerParts parts{comm, *device, *model, loss, *rule, registry, log, train, validation, nullptr};
    parts.is_shared = [&](std::string_view parameter) { return model->is_shared(parameter); };
    return Trainer(parts, config).run();
  }
};

}  // namespace

TEST_CASE("several tasks train to the same bits at every number of ranks and under every exchange, projected or not") {
  for (const std::string surgery : {"none", "pcgrad"})
    for (const bool learns : {false, true}) {
      TaskRun run{.surgery = surgery, .learns_weights = learns};
      const TaskRun::Result one = run.run();
      REQUIRE(one.errors[0].empty());
      CHECK(one.summary.metrics.at("validation").at("buys.auc") > 0.8);
      CHECK(one.summary.metrics.at("validation").at("spend.rmse") < 1.2);  // its deviation is about 2.2
      for (const auto& [ranks, exchange] : std::vector<std::pair<int, std::string>>{{2, "shared"}, {3, "replicated"}, {5, "sharded"}}) {
        CAPTURE(surgery, learns, ranks, exchange);
        run.ranks = ranks, run.exchange = exchange;
        const TaskRun::Result several = run.run();
        for (const std::string& error : several.errors) CHECK(error == "");
        for (const std::string& hash : several.hashes) CHECK(hash == one.summary.parameters_hash);
        CHECK(several.summary.metrics == one.summary.metrics);
      }
    }
}

TEST_CASE("projecting and learnt weights change what is learnt, and every kind trains") {
  std::vector<std::string> hashes;
  for (const std::string kind : {"shared_bottom", "mmoe", "ple"}) hashes.push_back(TaskRun{.kind = kind}.run().summary.parameters_hash);
  hashes.push_back(TaskRun{.surgery = "pcgrad"}.run().summary.parameters_hash);
  hashes.push_back(TaskRun{.learns_weights = true}.run().summary.parameters_hash);
  std::sort(hashes.begin(), hashes.end());
  CHECK(std::adjacent_find(hashes.begin(), hashes.end()) == hashes.end());
  CHECK(!hashes.front().empty());
}

TEST_CASE("of several tasks scores are told apart, averaged by name, and a label that is missing counts nowhere") {
  const TaskRun::Result r = TaskRun{}.run();
  const auto& scores = r.summary.metrics.at("validation");
  CHECK(scores.at("auc") == scores.at("buys.auc"));  // spend cannot have it
  CHECK(scores.at("rmse") == scores.at("spend.rmse"));
  CHECK(scores.at("loss") == Approx(scores.at("buys.loss") + scores.at("spend.loss")));
  CHECK(scores.at("spend.loss") == Approx(scores.at("spend.rmse") * scores.at("spend.rmse")).epsilon(1e-5));
  CHECK(!scores.contains("buys.rmse"));
  TaskRun stops{.early_stop = {"validation.buys.auc", "1"}};
  CHECK(stops.run().errors[0] == "");
  stops.early_stop = {"validation.spend.auc", "1"};
  CHECK_THAT(stops.run().errors[0], Catch::Contains("metric 'auc' needs"));
  CHECK_THAT((TaskRun{.metrics = {"aucc"}}.run().errors[0]), Catch::Contains("auc"));
}

TEST_CASE("a row without a label counts nothing, whatever the model says of it") {
  MultiTaskLoss::Task task{.name = "a", .loss = nullptr};
  Registry registry;
  register_all(registry);
  const auto device = make_cpu_device();
  const std::vector<double> target{1, std::nan(""), 0}, z{0.5, 1e300, -2};
  const Labelled rows = labelled(Tensor::from(*device, {3}, target.data()), Tensor());
  CHECK(rows.weight.data<double>()[0] == 1);
  CHECK(rows.weight.data<double>()[1] == 0);
  task.loss = registry.of<LossEntry>().at("binary_cross_entropy", "loss").make({});
  std::vector<MultiTaskLoss::Task> tasks;
  tasks.push_back(std::move(task));
  MultiTaskLoss loss(std::move(tasks), false);
  const Values batch{{"target.a", Variable(Tensor::from(*device, {3}, target.data()))}};
  loss.take_batch(batch);
  const LossValue value = loss.of({{"y.a", Variable(Tensor::from(*device, {3, 1}, z.data()))}}, batch);
  const double mean = (std::log1p(std::exp(-0.5)) + std::log1p(std::exp(-2.0))) / 2;
  CHECK(*value.total.value().data<double>() == Approx(3 * mean));  // times the rows of the batch, by which a step divides
}

TEST_CASE("weights of projected gradients are those of the vectors written out, in the order that the key draws") {
  RandomStream random(3);
  constexpr std::size_t kTasks = 4, kSize = 9;
  std::vector<std::vector<double>> g(kTasks, std::vector<double>(kSize));
  for (auto& each : g)
    for (double& v : each) v = random.normal();
  const auto dot = [](const std::vector<double>& a, const std::vector<double>& b) {
    double out = 0;
    for (std::size_t i = 0; i < a.size(); ++i) out += a[i] * b[i];
    return out;
  };
  std::vector<double> gram;
  for (const auto& a : g)
    for (const auto& b : g) gram.push_back(dot(a, b));
  const std::vector<double> weights = pcgrad_factors(gram, std::vector<double>(kTasks, 1), 7);
  std::vector<double> got(kSize);
  for (std::size_t t = 0; t < kTasks; ++t)
    for (std::size_t i = 0; i < kSize; ++i) got[i] += weights[t] * g[t][i];
  // Source: Yu et al. 2020, algorithm 1, with every order of the others tried: one of each task's must be it.
  std::vector<std::vector<std::vector<double>>> candidates(kTasks);
  for (std::size_t i = 0; i < kTasks; ++i) {
    std::vector<std::size_t> order;
    for (std::size_t j = 0; j < kTasks; ++j)
      if (j != i) order.push_back(j);
    do {
      std::vector<double> p = g[i];
      for (const std::size_t j : order)
        if (const double along = dot(p, g[j]); along < 0)
          for (std::size_t k = 0; k < kSize; ++k) p[k] -= along / dot(g[j], g[j]) * g[j][k];
      candidates[i].push_back(p);
    } while (std::next_permutation(order.begin(), order.end()));
  }
  double nearest = 1e9;
  for (const auto& a : candidates[0])
    for (const auto& b : candidates[1])
      for (const auto& c : candidates[2])
        for (const auto& d : candidates[3]) {
          double far = 0;
          for (std::size_t k = 0; k < kSize; ++k) far = std::max(far, std::fabs(a[k] + b[k] + c[k] + d[k] - got[k]));
          nearest = std::min(nearest, far);
        }
  CHECK(nearest <= 1e-12);
  CHECK(pcgrad_factors(gram, std::vector<double>(kTasks, 1), 7) == weights);
  CHECK(pcgrad_factors(std::vector<double>{2, 1, 1, 3}, std::vector<double>{1, 1}, 1) ==
        std::vector<double>{1, 1});  // no conflict: as they are
}

TEST_CASE("projecting says what it cannot do") {
  CHECK_THAT((TaskRun{.exchange = "local_sgd", .surgery = "pcgrad"}.run().errors[0]), Catch::Contains("parallel.exchange = local_sgd"));
  SmallRun single;
  single.config.train.gradient_surgery = "pcgrad";
  CHECK_THAT(single.run().errors[0], Catch::Contains("needs a model of several targets"));
}
