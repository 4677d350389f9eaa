#include <catch2/catch.hpp>

#include <cmath>
#include <thread>

#include <chorale/core/base/error.hpp>
#include <chorale/train/gradient_engine.hpp>

using namespace chorale;

namespace {

constexpr int kRows = 24;

/// Least squares y = 2 x0 - 3 x1 + 1 on rows that ranks share unevenly; returns rank 0's parameters.
std::vector<float> regress(int ranks, int nodes, const std::string& exchange, bool outside, int steps = 200) {
  auto comms = make_thread_communicators(ranks, nodes);
  std::vector<float> out;
  std::vector<std::thread> threads;
  for (int r = 0; r < ranks; ++r)
    threads.emplace_back([&, r] {
      Communicator& comm = *comms[static_cast<std::size_t>(r)];
      GradientEngine engine(comm, {.parallel = {.exchange = exchange}, .optimizer = {.name = "sgd", .lr = 0.2}});
      std::vector<float> w(2, r == 0 ? 0.5f : 9.0f), b(1, 0.0f);  // rank 0's start counts
      const std::size_t iw = outside ? engine.add("w", std::span(w)) : engine.add("w", 2);
      const std::size_t ib = outside ? engine.add("b", std::span(b)) : engine.add("b", 1);
      engine.start();
      for (int s = 0; s < steps; ++s) {
        std::vector<float> dw(2), db(1);
        double samples = 0;
        for (int i = r * r * kRows / (ranks * ranks); i < (r + 1) * (r + 1) * kRows / (ranks * ranks); ++i, ++samples) {
          const float x0 = std::sin(float(i)), x1 = std::cos(float(3 * i));
          const float error = engine.values(iw)[0] * x0 + engine.values(iw)[1] * x1 + engine.values(ib)[0] - (2 * x0 - 3 * x1 + 1);
          dw[0] += error * x0, dw[1] += error * x1, db[0] += error;
        }
        engine.ready(ib, db);
        engine.ready(iw, dw);
        engine.step(samples);
      }
      if (r != 0) return;
      out.assign(engine.values(iw).begin(), engine.values(iw).end());
      out.push_back(engine.values(ib)[0]);
      if (outside) CHECK((w[0] == out[0] && b[0] == out[2]));
    });
  for (std::thread& thread : threads) thread.join();
  return out;
}

}  // namespace

TEST_CASE("gradients of one's own train a regression, whatever ranks and exchange") {
  for (const std::string exchange : {"auto", "shared", "replicated", "sharded"})
    for (const auto& [ranks, nodes] : std::vector<std::pair<int, int>>{{1, 1}, {2, 1}, {3, 1}, {4, 2}}) {
      CAPTURE(exchange, ranks, nodes);
      const std::vector<float> found = regress(ranks, nodes, exchange, ranks % 2 == 0);
      REQUIRE(found.size() == 3);
      CHECK(std::abs(found[0] - 2) < 1e-3);
      CHECK(std::abs(found[1] + 3) < 1e-3);
      CHECK(std::abs(found[2] - 1) < 1e-3);
    }
}

TEST_CASE("what the caller of a gradient engine gets wrong is said at once") {
  auto comm = make_self_communicator();
  CHECK_THROWS_WITH(GradientEngine(*comm, {.parallel = {.virtual_workers = 4}}), Catch::Contains("remove parallel.virtual_workers = 4"));
  CHECK_THROWS_WITH(GradientEngine(*comm, {.parallel = {.threads = 4}}), Catch::Contains("parallel.threads does nothing here"));
  CHECK_THROWS_WITH(GradientEngine(*comm, {.parallel = {.isa = "avx2"}}), Catch::Contains("parallel.isa does nothing here"));
  CHECK_THROWS_WITH(GradientEngine(*comm, {.parallel = {.wire = "f16"}}), Catch::Contains("parallel.wire = f16 is refused"));
  CHECK_THROWS_WITH(GradientEngine(*comm, {.optimizer = {.lr = std::nan("")}}), Catch::Contains("optimizer.lr = nan is refused"));
  GradientEngine engine(*comm, {.optimizer = {.name = "sgd", .lr = 1}});
  const std::size_t a = engine.add("a", 2), b = engine.add("b", 1);
  CHECK_THROWS_WITH(engine.gradient(a), Catch::Contains("comes after start()"));
  engine.start();
  CHECK_THROWS_WITH(engine.add("c", 1), Catch::Contains("comes before start()"));
  CHECK_THROWS_WITH(engine.ready(7), Catch::Contains("no parameter 7 among 2"));
  CHECK_THROWS_WITH(engine.values(2), Catch::Contains("no parameter 2 among 2"));
  const std::vector<float> three(3);
  CHECK_THROWS_WITH(engine.ready(a, three), Catch::Contains("'a' has 2 elements, its gradient 3"));
  const std::vector<float> one = {1};
  engine.ready(b, one);
  CHECK_THROWS_WITH(engine.ready(b), Catch::Contains("ready twice"));
  engine.step(1);  // a counts as zero
  CHECK(engine.values(a)[0] == 0);
  CHECK(engine.values(b)[0] == -1);
  CHECK_THROWS_WITH(engine.step(std::nan("")), Catch::Contains("not finite, or the weight below 0, at step 2"));
  CHECK_THROWS_WITH(engine.step(-1), Catch::Contains("the weight below 0, at step 2"));
}

TEST_CASE("a step that is refused changes nothing, and the next gradients count") {
  for (const std::string exchange : {"shared", "replicated", "sharded"})
    for (const auto& [ranks, nodes] : std::vector<std::pair<int, int>>{{1, 1}, {2, 1}, {2, 2}, {4, 2}}) {
      CAPTURE(exchange, ranks, nodes);
      auto comms = make_thread_communicators(ranks, nodes);
      std::vector<float> found(static_cast<std::size_t>(ranks));
      std::vector<int> refused(static_cast<std::size_t>(ranks));
      std::vector<std::thread> threads;
      for (int r = 0; r < ranks; ++r)
        threads.emplace_back([&, r, ranks = ranks] {
          GradientEngine engine(*comms[static_cast<std::size_t>(r)],
                                {.parallel = {.exchange = exchange}, .optimizer = {.name = "sgd", .lr = 1}});
          const std::size_t w = engine.add("w", 3);
          engine.start();
          for (int s = 0; s < 8; ++s) {
            engine.ready(w, std::vector<float>(3, s % 3 == 0 ? 100.0f : 1.0f));
            try {
              engine.step(1, s % 3 == 0 && r == ranks - 1 ? std::nan("") : 1.0);
            } catch (const NumericError&) {
              ++refused[static_cast<std::size_t>(r)];
            }
          }
          found[static_cast<std::size_t>(r)] = engine.values(w)[0];
        });
      for (std::thread& thread : threads) thread.join();
      CHECK(found == std::vector<float>(static_cast<std::size_t>(ranks), -5.0f));
      CHECK(refused == std::vector<int>(static_cast<std::size_t>(ranks), 3));
    }
}

TEST_CASE("ranks whose parameters differ are told before they share memory") {
  for (const int nodes : {1, 2})
    for (const int large : {0, 1}) {
      CAPTURE(nodes, large);
      auto comms = make_thread_communicators(2, nodes);
      std::vector<std::string> errors(2);
      std::vector<std::thread> threads;
      for (int r = 0; r < 2; ++r)
        threads.emplace_back([&, r] {
          try {
            GradientEngine engine(*comms[static_cast<std::size_t>(r)]);
            engine.add("w", r == large ? 50000 : 100);
            engine.start();
          } catch (const UsageError& e) {
            errors[static_cast<std::size_t>(r)] = e.what();
          }
        });
      for (std::thread& thread : threads) thread.join();
      for (const std::string& error : errors) CHECK_THAT(error, Catch::Contains("elements of parameter w is '"));
    }
}

TEST_CASE("ranks whose optimisers or exchanges differ are told before the first step") {
  const std::vector<std::pair<GradientEngine::Options, std::string>> others = {
      {{.optimizer = {.name = "sgd", .lr = 0.5}}, "optimizer.lr is '0.25'"},
      {{.optimizer = {.name = "sgd", .lr = 0.25, .clip_norm = 1}}, "optimizer.clip_norm is '0'"},
      {{.parallel = {.exchange = "shared", .wire = "bf16"}, .optimizer = {.name = "sgd", .lr = 0.25}}, "parallel.wire is 'f32'"},
  };
  for (const auto& [other, words] : others) {
    CAPTURE(words);
    auto comms = make_thread_communicators(2);
    std::vector<std::string> errors(2);
    std::vector<std::thread> threads;
    for (std::size_t r = 0; r < 2; ++r)
      threads.emplace_back([&, r, other = other] {
        try {
          GradientEngine engine(*comms[r], r == 0 ? GradientEngine::Options{.optimizer = {.name = "sgd", .lr = 0.25}} : other);
          engine.add("w", 100);
          engine.start();
        } catch (const UsageError& e) {
          errors[r] = e.what();
        }
      });
    for (std::thread& thread : threads) thread.join();
    for (const std::string& error : errors) CHECK_THAT(error, Catch::Contains(words));
  }
}

TEST_CASE("the time between gradients is what buckets are planned with") {
  auto comms = make_thread_communicators(2, 2);
  std::vector<std::thread> threads;
  std::vector<double> least(2, 1e9);
  for (int r = 0; r < 2; ++r)
    threads.emplace_back([&, r] {
      GradientEngine engine(*comms[static_cast<std::size_t>(r)]);
      const std::size_t a = engine.add("a", 5000), b = engine.add("b", 5000);
      engine.start();
      for (int s = 0; s < 2; ++s) {
        engine.gradient(b)[0] = 1;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        engine.ready(b);
        engine.gradient(a)[0] = 1;
        engine.step(1);
        for (const Phases& of : engine.phases())
          least[static_cast<std::size_t>(r)] = std::min(least[static_cast<std::size_t>(r)], of.backward);
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (const double ms : least) CHECK((ms >= 20 && ms < 1e9));
}
