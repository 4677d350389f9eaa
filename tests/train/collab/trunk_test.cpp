// Gradients of several tasks become one: the same bits on every rank, for any number of ranks a task.
#include <catch2/catch.hpp>

#include <cmath>
#include <functional>
#include <mutex>
#include <numeric>
#include <thread>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/core/nn/linear.hpp>
#include <chorale/core/nn/sequential.hpp>
#include <chorale/train/collab/trunk.hpp>
#include <chorale/train/pcgrad.hpp>

using namespace chorale;

namespace {

std::vector<double> of_random(std::int64_t n, std::uint64_t seed) {
  std::vector<double> out(static_cast<std::size_t>(n));
  RandomStream random(seed);
  for (double& each : out) each = random.normal();
  return out;
}

/// Every rank of a world of tasks calls body(rank of the world, its Lanes, its task's number).
void on_tasks(const std::vector<std::int64_t>& ranks, int nodes, const std::function<void(int, Communicator&, Lanes, int)>& body) {
  std::vector<int> task_of;
  for (std::size_t t = 0; t < ranks.size(); ++t) task_of.insert(task_of.end(), static_cast<std::size_t>(ranks[t]), static_cast<int>(t));
  auto world = make_thread_communicators(static_cast<int>(task_of.size()), nodes);
  std::vector<std::string> errors(task_of.size());
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < task_of.size(); ++r)
    threads.emplace_back([&, r] {
      try {
        const auto task = world[r]->split(task_of[r], 0, "task" + std::to_string(task_of[r]));
        body(static_cast<int>(r), *world[r], Lanes(*world[r], *task, task_of[r], ranks, "trunk"), task_of[r]);
      } catch (const std::exception& e) {
        errors[r] = e.what();
        world[r]->abort(e.what());
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& error : errors) CHECK(error.empty());
}

struct Combined {
  std::vector<std::vector<float>> by_rank;
  std::uint64_t sent = 0, formula = 0;  // by all ranks
};

/// Three tasks with gradients of their own, combined at step 7.
Combined combined(const std::vector<std::int64_t>& ranks, const TrunkOptions& options, std::int64_t elements, int nodes = 1) {
  const auto world = static_cast<std::size_t>(std::accumulate(ranks.begin(), ranks.end(), std::int64_t{0}));
  Combined out{.by_rank = std::vector<std::vector<float>>(world)};
  std::mutex mutex;
  on_tasks(ranks, nodes, [&](int rank, Communicator&, Lanes lanes, int task) {
    const std::vector<double> mine = of_random(elements, static_cast<std::uint64_t>(task) + 50);
    std::vector<float> gradient(mine.begin(), mine.end()), first = gradient;
    Communicator &lane = lanes.lane(), &own = lanes.task();
    Trunk trunk(std::move(lanes), task, options);
    trunk.combine(std::span(first), 6, 0.3);  // allocates
    const std::uint64_t before = lane.bytes_sent() + own.bytes_sent();
    trunk.combine(std::span(gradient), 7, 0.3);
    const std::lock_guard lock(mutex);
    out.by_rank[static_cast<std::size_t>(rank)] = gradient;
    out.sent += lane.bytes_sent() + own.bytes_sent() - before;
    out.formula = static_cast<std::uint64_t>(trunk.bytes_per_step(elements, 4));
  });
  return out;
}

/// The published algorithm, gradient by gradient.
std::vector<double> surgery(const std::vector<std::vector<double>>& g, const std::vector<double>& weights, std::uint64_t key) {
  const auto dot = [](const std::vector<double>& a, const std::vector<double>& b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
  };
  std::vector<double> sum(g[0].size(), 0);
  for (std::size_t i = 0; i < g.size(); ++i) {
    std::vector<std::size_t> order(g.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    RandomStream random(mix(key, i));
    for (std::size_t n = g.size(); n > 1; --n) std::swap(order[n - 1], order[random.below(n)]);
    std::vector<double> mine = g[i];
    for (const std::size_t j : order) {
      const double along = dot(mine, g[j]);
      if (j == i || along >= 0) continue;
      for (std::size_t k = 0; k < mine.size(); ++k) mine[k] -= along / dot(g[j], g[j]) * g[j][k];
    }
    for (std::size_t k = 0; k < mine.size(); ++k) sum[k] += weights[i] * mine[k];
  }
  return sum;
}

double relative(const std::vector<float>& a, const std::vector<double>& b) {
  double difference = 0, length = 0;
  for (std::size_t i = 0; i < b.size(); ++i) difference += (a[i] - b[i]) * (a[i] - b[i]), length += b[i] * b[i];
  return std::sqrt(difference / length);
}

}  // namespace

TEST_CASE("gradients of tasks are summed with their weights, with the same bits for any ranks and nodes") {
  const std::int64_t elements = GENERATE(1, 4095, 4096, 20001);
  const TrunkOptions options{.weights = {1, 0.25, 3}};
  const Combined one = combined({1, 1, 1}, options, elements);
  std::vector<double> expected(static_cast<std::size_t>(elements), 0);
  for (std::size_t t = 0; t < 3; ++t) {
    const std::vector<double> g = of_random(elements, t + 50);
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += options.weights[t] * g[i];
  }
  CHECK(relative(one.by_rank[0], expected) < 1e-6);
  for (const auto& ranks : {std::vector<std::int64_t>{1, 1, 1}, {1, 2, 3}, {3, 2, 2}, {5, 5, 5}}) {
    const Combined other = combined(ranks, options, elements);
    for (const auto& each : other.by_rank) CHECK(each == one.by_rank[0]);
    CHECK(other.sent == other.formula);
  }
  for (const auto& each : combined({2, 1, 1}, options, elements, 2).by_rank) CHECK(each == one.by_rank[0]);
}

TEST_CASE("PCGrad from inner products is the published projection, with the same bits for any ranks") {
  const TrunkOptions options{.weights = {1, 2, 0.5}, .pcgrad = true, .seed = 9};
  const std::int64_t elements = 9000;
  std::vector<std::vector<double>> g;
  for (std::size_t t = 0; t < 3; ++t) {
    g.push_back(of_random(elements, t + 50));
    for (double& each : g.back()) each = static_cast<float>(each);
  }
  const Combined one = combined({1, 1, 1}, options, elements);
  CHECK(relative(one.by_rank[0], surgery(g, options.weights, mix(9, 7))) < 1e-6);
  CHECK(one.by_rank[0] != combined({1, 1, 1}, {.weights = options.weights}, elements).by_rank[0]);
  for (const auto& ranks : {std::vector<std::int64_t>{1, 1, 1}, {1, 2, 3}, {3, 2, 2}}) {
    const Combined other = combined(ranks, options, elements);
    for (const auto& each : other.by_rank) CHECK(each == one.by_rank[0]);
    CHECK(other.sent == other.formula);
  }
}

TEST_CASE("PCGrad leaves gradients that agree as they are, and takes opposite ones out of each other") {
  CHECK(pcgrad_factors(std::vector<double>{2, 1, 1, 3}, std::vector<double>{1, 1}, 1) == std::vector<double>{1, 1});
  const std::vector<double> factors = pcgrad_factors(std::vector<double>{1, -1, -1, 1}, std::vector<double>{1, 1}, 1);
  CHECK(factors == std::vector<double>{2, 2});  // of g and -g: nothing is left
  CHECK(pcgrad_factors(std::vector<double>{0, 0, 0, 1}, std::vector<double>{1, 1}, 1) == std::vector<double>{1, 1});
  // Three tasks: the order matters, and another key draws another.
  const std::vector<double> three = {1, -0.9, -0.8, -0.9, 1, 0.5, -0.8, 0.5, 1}, weights = {1, 1, 1};
  bool differs = false;
  for (std::uint64_t key = 1; key < 20; ++key)
    differs = differs || pcgrad_factors(three, weights, 0) != pcgrad_factors(three, weights, key);
  CHECK(differs);
}

TEST_CASE("a learnt weight comes to rest where weight times loss is a half") {
  UncertaintyWeight noisy(0.1), clear(0.1);
  CHECK(noisy.weight() == 1);
  for (int step = 0; step < 500; ++step) noisy.step(4), clear.step(0.1);
  CHECK(noisy.weight() * 4 == Approx(0.5).margin(1e-3));
  CHECK(clear.weight() * 0.1 == Approx(0.5).margin(1e-3));
  noisy.restore(clear.log_variance());
  CHECK(noisy.weight() == clear.weight());
}

TEST_CASE("learnt weights count in the sum") {
  std::vector<std::vector<double>> seen(2);
  on_tasks({1, 1}, 1, [&](int rank, Communicator&, Lanes lanes, int task) {
    Trunk trunk(std::move(lanes), task, {.weights = {1, 1}, .uncertainty_lr = 0.5});
    for (std::int64_t step = 1; step <= 3; ++step) {
      std::vector<double> gradient{task == 0 ? 1.0 : 10.0};
      trunk.combine(std::span(gradient), step, task == 0 ? 1.0 : 3.0);
      seen[static_cast<std::size_t>(rank)].push_back(gradient[0]);
    }
  });
  double s[] = {0, 0};
  for (std::size_t step = 0; step < 3; ++step) {
    CHECK(seen[0][step] == Approx(std::exp(-s[0]) + 10 * std::exp(-s[1])));
    for (int t = 0; t < 2; ++t) s[t] += std::min(1.0, 0.5 * (std::exp(-s[t]) * (t == 0 ? 1 : 3) - 0.5));
  }
  CHECK(seen[0] == seen[1]);
}

TEST_CASE("values are averaged by weight, and begin as one task's") {
  on_tasks({2, 1, 3}, 1, [](int, Communicator&, Lanes lanes, int task) {
    Trunk trunk(std::move(lanes), task, {.weights = {1, 1, 2}});
    std::vector<double> values(5000, task + 1);
    trunk.average(std::span(values));
    CHECK(values == std::vector<double>(5000, 2.25));
    std::fill(values.begin(), values.end(), task + 4);
    trunk.spread_from(1, std::span(values));
    CHECK(values == std::vector<double>(5000, 5));
  });
}

namespace {
struct Model {
  explicit Model(const std::string& layers, std::int64_t features = 6) {
    register_all(registry);
    model = build_layers(layers, {features}, registry);
    params = std::make_unique<FlatParams>(*model, *device, DType::f64);
  }
  Registry registry;
  std::unique_ptr<Device> device = make_cpu_device();
  std::unique_ptr<Sequential> model;
  std::unique_ptr<FlatParams> params;
};
}  // namespace

TEST_CASE("the trunk is what the patterns name, in the order of names") {
  Model m("linear(4) relu linear(3) tanh linear(1)");
  CHECK(layers_before_head(*m.model) == std::vector<std::string>{"0.*", "2.*"});
  const TrunkSelection all(*m.params, layers_before_head(*m.model)), weights(*m.params, {"*.weight"});
  CHECK(all.descriptions() == std::vector<std::string>{"0.bias [4]", "0.weight [4, 6]", "2.bias [3]", "2.weight [3, 4]"});
  CHECK(all.elements() == 4 + 24 + 3 + 12);
  std::vector<double> arena(static_cast<std::size_t>(m.params->elements()), -1), packed(static_cast<std::size_t>(weights.elements()));
  std::iota(packed.begin(), packed.end(), 0.0);
  weights.unpack<double>(packed, arena.data());
  std::vector<double> back(packed.size());
  weights.pack<double>(arena.data(), back);
  CHECK(back == packed);
  CHECK(std::count_if(arena.begin(), arena.end(), [](double v) { return v >= 0; }) == weights.elements());
  CHECK(TrunkSelection(*m.params, {"encoder"}).descriptions() == all.descriptions());
  CHECK_THROWS_WITH(TrunkSelection(*m.params, {"tower.*"}), Catch::Contains("'tower.*' means no parameter") && Catch::Contains("0.weight"));
}

TEST_CASE("tasks with other shared parameters are refused by name and shape, on every rank") {
  const std::vector<std::string> names = {"buys", "stays"};
  const auto refusal = [&](const std::string& other) {
    std::vector<std::string> texts(3);
    on_tasks({2, 1}, 1, [&](int rank, Communicator& world, Lanes, int task) {
      Model m(task == 0 ? "linear(4) relu linear(1)" : other);
      const TrunkSelection mine(*m.params, layers_before_head(*m.model));
      try {
        check_trunk(world, mine, names[static_cast<std::size_t>(task)]);
      } catch (const UsageError& e) {
        texts[static_cast<std::size_t>(rank)] = e.what();
      }
    });
    CHECK((texts[0] == texts[1] && texts[0] == texts[2]));
    return texts[0];
  };
  CHECK(refusal("linear(4) relu linear(1)").empty());
  CHECK_THAT(refusal("linear(5) relu linear(1)"),
             Catch::Contains("buys has 0.bias [4], 0.weight [4, 6], stays has 0.bias [5], 0.weight [5, 6]"));
  CHECK_THAT(refusal("linear(1)"), Catch::Contains("stays has none"));
}
