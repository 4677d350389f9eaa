#include <catch2/catch.hpp>

#include <chorale/train/exchange_trial.hpp>

#include "run_ranks.hpp"

using namespace chorale;

namespace {

/// A machine on which steps of `a` and `b` take so long; counts which is used.
struct FakeRun {
  std::unique_ptr<Communicator> comm = make_self_communicator();
  ExchangeTrial trial{{"a", "b"}};
  std::string uses = trial.first();
  std::int64_t steps = 0, tried = 0;
  std::vector<std::string> news = {};

  void go(std::int64_t count, double a_ms, double b_ms) {
    for (std::int64_t i = 0; i < count; ++i, ++steps) {
      tried += trial.is_trying();
      const double noise = 1 + 0.05 * static_cast<double>(steps % 3);
      uses = trial.after_step(*comm, noise * (uses == "a" ? a_ms : b_ms));
      if (const std::string said = trial.take_news(); !said.empty()) news.push_back(said);
    }
  }
};

constexpr std::int64_t kFirst = 2 * ExchangeTrial::kRounds * ExchangeTrial::kStepsPerTurn;
constexpr std::int64_t kAgain = 2 * ExchangeTrial::kRoundsAgain * ExchangeTrial::kStepsPerTurn;
constexpr std::int64_t kWait = TrialPace().steps_a_trial * kAgain;

}  // namespace

TEST_CASE("the candidate with the shorter median step stays") {
  FakeRun run;
  run.go(kFirst, 2, 1);
  CHECK(run.uses == "b");
  CHECK(run.trial.has_chosen());
  CHECK_THAT(run.trial.reason(), Catch::StartsWith("b (a step took: a 2"));
  run.go(100000, 2, 1);
  CHECK(run.uses == "b");
  CHECK(run.tried == kFirst);  // nothing drifts, nothing is tried
}

TEST_CASE("a step that becomes longer or shorter has the candidates tried again, and the other one chosen") {
  for (const double factor : {2.0, 0.5}) {
    CAPTURE(factor);
    FakeRun run;
    run.go(kFirst + 2 * kWait, 2, 1);
    REQUIRE(run.uses == "b");
    run.go(kAgain + 2 * TrialPace().window, 0.5 * factor, factor);
    CHECK(run.uses == "a");
    CHECK_FALSE(run.trial.is_trying());
    REQUIRE(run.news.size() == 3);
    CHECK_THAT(run.news[1], Catch::Contains("after b was chosen: a and b are tried again"));
    CHECK_THAT(run.news[2], Catch::StartsWith("a ("));
  }
}

TEST_CASE("a step a little longer, or for a moment, changes nothing") {
  FakeRun run;
  run.go(kFirst + 2 * kWait, 2, 1);
  run.go(2000, 2, 1.15);
  run.go(TrialPace().window / 3, 2, 9);
  run.go(2000, 2, 1.15);
  CHECK(run.news.size() == 1);
}

TEST_CASE("trials made again take at most a hundredth of the steps, and less where they change nothing") {
  FakeRun run;
  for (int change = 0; change < 400; ++change) run.go(1000, change % 2 ? 2 : 6, change % 2 ? 1 : 3);  // b stays the better one
  CHECK(run.uses == "b");
  CHECK(run.tried > kFirst);
  CHECK(run.tried - kFirst <= 8 * kAgain);  // the wait doubles: 400,000 steps are 2 + 4 + ... + 32 waits of 4,800
  FakeRun turning;
  for (int change = 0; change < 400; ++change) turning.go(1000, change % 10 < 5 ? 2 : 1, change % 10 < 5 ? 1 : 4);
  CHECK(turning.tried - kFirst > 10 * kAgain);
  CHECK(100 * (turning.tried - kFirst) <= turning.steps);
}

TEST_CASE("all ranks change at the same step, whatever their own clocks say") {
  auto comms = make_thread_communicators(3);
  std::vector<std::string> used(3);
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < 3; ++r)
    threads.emplace_back([&, r] {
      ExchangeTrial trial({"a", "b"});
      RandomStream random(r);
      for (std::int64_t i = 0; i < kFirst + 4 * kWait; ++i)
        used[r] += trial.after_step(*comms[r], (i / 5000 % 2 ? 3 : 1) * (1 + random.uniform()));
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(used[1] == used[0]);
  CHECK(used[2] == used[0]);
  CHECK(used[0].find("ba", static_cast<std::size_t>(kFirst + kWait)) != std::string::npos);  // it has been tried again
}

TEST_CASE("a run whose exchange is tried again keeps its bits") {
  SmallRun run;
  run.layers = "linear(5) tanh linear(1)";
  run.config.train.batch = 16;
  run.pace = {.window = 40, .steps_a_trial = 5};  // so that a short run comes to it
  const std::int64_t wait = run.pace.steps_a_trial * kAgain;
  run.config.train.steps = kFirst + wait + 4 * run.pace.window + kAgain + 20;
  run.config.train.evaluate_every = 200;
  run.config.parallel.exchange = "shared";
  run.ranks = 2;
  const auto shared = run.run();
  struct Words : Log {
    void write(LogLevel, std::string_view text) override { all += text, all += '\n'; }
    std::string all;
  } words;
  /// From the middle on a row takes longer to read.
  class Slowing final : public Dataset {
   public:
    Slowing(std::shared_ptr<Dataset> data, std::int64_t after) : data_(std::move(data)), after_(after) {}
    std::int64_t rows() const override { return data_->rows(); }
    const std::vector<Field>& fields() const override { return data_->fields(); }
    void gather(int field, std::span<const std::int64_t> rows, void* out) const override {
      if (++calls_ > after_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      data_->gather(field, rows, out);
    }

   private:
    std::shared_ptr<Dataset> data_;
    std::int64_t after_;
    mutable std::atomic<std::int64_t> calls_{0};
  };
  run.config.parallel.exchange = "auto";
  run.train = std::make_shared<Slowing>(run.train, 2 * 2 * (kFirst + wait));  // ranks and fields
  run.log = &words;
  const auto again = run.run();
  for (const std::string& error : again.errors) CHECK(error == "");
  CHECK_THAT(words.all, Catch::Contains("are tried again"));
  CHECK(again.summary.parameters_hash == shared.summary.parameters_hash);
}
