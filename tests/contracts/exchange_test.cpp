// Every exchange of the registry, at ranks and nodes of many shapes.
#include <catch2/catch.hpp>

#include <unistd.h>

#include <cmath>
#include <filesystem>

#include <chorale/tests/train/run_ranks.hpp>

using namespace chorale;

namespace {

std::vector<std::string> exchanges_with_equal_bits() {
  Registry registry;
  register_all(registry);
  std::vector<std::string> out = {"auto"};
  for (const std::string& name : registry.of<ExchangeEntry>().names())
    if (registry.of<ExchangeEntry>().at(name, "exchange").same_bits) out.push_back(name);
  return out;
}

SmallRun run_of_eight(const std::string& exchange) {
  SmallRun run;
  run.layers = "linear(90) relu dropout(0.2) linear(70) tanh linear(1)";  // several blocks, a border inside a tensor
  run.config.train.batch = 32;
  run.config.train.epochs = 2;
  run.config.train.metrics = {"auc"};
  run.config.train.early_stop = {"validation.auc", "2"};
  run.config.parallel.virtual_workers = 8;
  run.config.parallel.exchange = exchange;
  run.optimizer.lr = 0.01;
  return run;
}

void check_no_errors(const SmallRun::Result& result) {
  for (const std::string& error : result.errors) CHECK(error == "");
}

}  // namespace

TEST_CASE("all exchanges give the same bits at every number of ranks and nodes") {
  for (const double clip : {0.0, 0.3}) {
    SmallRun reference_run = run_of_eight("replicated");
    reference_run.optimizer.clip_norm = clip;
    const auto reference = reference_run.run();
    check_no_errors(reference);
    for (const std::string& exchange : exchanges_with_equal_bits()) {
      SmallRun run = run_of_eight(exchange);
      run.optimizer.clip_norm = clip;
      for (const auto& [ranks, nodes] : std::vector<std::pair<int, int>>{
               {1, 1}, {2, 1}, {3, 1}, {4, 1}, {6, 1}, {8, 1}, {2, 2}, {4, 2}, {6, 2}, {3, 3}, {6, 3}, {8, 4}}) {
        if (clip > 0 && (ranks == 8 || ranks == 3)) continue;
        CAPTURE(exchange, ranks, nodes, clip);
        run.ranks = ranks, run.nodes = nodes;
        const auto result = run.run();
        check_no_errors(result);
        for (const std::string& hash : result.hashes) CHECK(hash == reference.summary.parameters_hash);
        CHECK(result.summary.best_parameters_hash == reference.summary.best_parameters_hash);
        CHECK(result.summary.metrics == reference.summary.metrics);
      }
    }
  }
}

TEST_CASE("every optimiser gives the same bits by every exchange, at every number of ranks and nodes, with schedule and average") {
  Registry registry;
  register_all(registry);
  for (const std::string& rule : registry.of<OptimizerEntry>().names()) {
    SmallRun run = run_of_eight("replicated");
    run.config.train.epochs = 1, run.config.train.ema = 0.9;
    run.optimizer.name = rule, run.optimizer.weight_decay = 0.01;
    run.optimizer.schedule = {.name = "cosine", .warmup_steps = 2};
    if (rule == "lars") run.optimizer.trust_coefficient = 0.1;
    const auto reference = run.run();
    check_no_errors(reference);
    CHECK(reference.summary.ema_parameters_hash != reference.summary.parameters_hash);
    for (const std::string exchange : {"replicated", "shared", "sharded"})
      for (const auto& [ranks, nodes] : std::vector<std::pair<int, int>>{{3, 1}, {4, 2}}) {
        for (const double clip : {0.0, 0.3}) {
          if (clip > 0 && (exchange != "sharded" || nodes == 1)) continue;
          CAPTURE(rule, exchange, ranks, nodes, clip);
          SmallRun other = run;
          other.ranks = ranks, other.nodes = nodes, other.config.parallel.exchange = exchange, other.optimizer.clip_norm = clip;
          const auto result = other.run();
          check_no_errors(result);
          for (const std::string& hash : result.hashes) CHECK(hash == result.summary.parameters_hash);
          if (clip > 0) continue;
          CHECK(result.summary.parameters_hash == reference.summary.parameters_hash);
          CHECK(result.summary.ema_parameters_hash == reference.summary.ema_parameters_hash);
          CHECK(result.summary.metrics == reference.summary.metrics);
        }
      }
  }
}

namespace {

/// No evaluation, no checkpoint: nothing but steps.
SmallRun only_steps(const std::string& exchange, std::int64_t steps) {
  SmallRun run = run_of_eight(exchange);
  run.config.train.early_stop.clear();
  run.config.train.metrics.clear();
  run.config.train.steps = steps;
  run.config.final_evaluation = false;
  if (exchange == "local_sgd") run.config.parallel.local_steps = 1;
  run.validation = nullptr;
  return run;
}

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double difference = 0, length = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference += (a[i] - b[i]) * (a[i] - b[i]), length += a[i] * a[i];
  return std::sqrt(difference / length);
}

std::vector<std::string> all_exchanges() {
  Registry registry;
  register_all(registry);
  return registry.of<ExchangeEntry>().names();
}

struct Folder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("chorale_exchange_" + std::to_string(::getpid()));
  ~Folder() { std::filesystem::remove_all(path); }
};

}  // namespace

TEST_CASE("every exchange sends the bytes that it states") {
  for (const std::string& exchange : all_exchanges())
    for (const std::string wire : {"f32", "bf16"})
      for (const auto& [ranks, nodes] : std::vector<std::pair<int, int>>{{2, 1}, {2, 2}, {4, 2}, {6, 3}}) {
        CAPTURE(exchange, wire, ranks, nodes);
        const auto run_of = [&](const char* layers, std::int64_t steps) {
          SmallRun run = only_steps(exchange, steps);
          if (*layers) run.layers = layers;
          run.config.parallel.wire = wire;
          run.ranks = ranks, run.nodes = nodes;
          const auto result = run.run();
          check_no_errors(result);
          return result;
        };
        const auto one_block = run_of("linear(1)", 20), longer = run_of("linear(1)", 23);  // beside its bytes only reports travel
        std::vector<std::uint64_t> rest;  // by rank: what the first plan's steps and the end
        for (const std::int64_t steps : {20, 23, 26}) {
          const auto result = run_of("", steps);
          for (std::size_t r = 0; r < static_cast<std::size_t>(ranks); ++r) {
            const std::uint64_t reports = (longer.bytes_sent[r] - one_block.bytes_sent[r]) / 3 - one_block.bytes_per_step[r];
            // Each run measures, so each has a plan of its own, and with it owners.
            const std::uint64_t others =
                result.bytes_sent[r] - static_cast<std::uint64_t>(steps - 3) * (result.bytes_per_step[r] + reports);
            if (steps == 20) rest.push_back(others);
            CHECK(others == rest[r]);
          }
          if (nodes == 1) CHECK(result.bytes_per_step[0] == 0);
        }
      }
}

TEST_CASE("ranks of a smaller batch each equal one rank of the whole batch") {
  for (const std::string& exchange : all_exchanges()) {
    SmallRun run = only_steps(exchange, 10);
    run.layers = "linear(16) tanh linear(1)";
    run.config.parallel.virtual_workers = 0;
    run.optimizer.name = "sgd";
    run.optimizer.lr = 0.1;
    const auto whole = run.run();
    check_no_errors(whole);
    for (const auto& [ranks, nodes] : std::vector<std::pair<int, int>>{{2, 1}, {3, 1}, {4, 2}}) {
      CAPTURE(exchange, ranks, nodes);
      run.ranks = ranks, run.nodes = nodes;
      const auto parts = run.run();
      check_no_errors(parts);
      CHECK(distance(whole.parameters, parts.parameters) < 1e-6);
      for (const std::string& hash : parts.hashes) CHECK(hash == parts.hashes[0]);
    }
  }
}

TEST_CASE("every exchange goes on from a checkpoint bit for bit") {
  for (const std::string& exchange : all_exchanges())
    for (const std::string wire : {"f32", "bf16"}) {
      CAPTURE(exchange, wire);
      Folder folder;
      SmallRun run = run_of_eight(exchange);
      run.ranks = 4, run.nodes = 2;
      run.config.parallel.wire = wire;
      if (exchange == "local_sgd") run.config.parallel.local_steps = 3, run.config.parallel.outer_momentum = 0.5;
      run.config.train.steps = 12;
      run.config.checkpoint.every_steps = 7;
      run.config.checkpoint_folder = (folder.path / "whole").string();
      const auto whole = run.run();
      check_no_errors(whole);
      run.config.checkpoint_folder = (folder.path / "cut").string();
      run.config.train.steps = 7;
      check_no_errors(run.run());
      run.config.train.steps = 12;
      run.config.resume = true;
      const auto resumed = run.run();
      check_no_errors(resumed);
      CHECK(resumed.summary.parameters_hash == whole.summary.parameters_hash);
    }
}

TEST_CASE("a narrow wire repeats its bits and stays near the wide one") {
  for (const std::string exchange : {"replicated", "shared", "sharded", "local_sgd"}) {
    CAPTURE(exchange);
    SmallRun run = only_steps(exchange, 12);
    run.ranks = 4, run.nodes = 2;
    run.optimizer.name = "sgd";
    const auto wide = run.run();
    run.config.parallel.wire = "bf16";
    const auto narrow = run.run(), again = run.run();
    check_no_errors(narrow);
    CHECK(narrow.summary.parameters_hash == again.summary.parameters_hash);
    CHECK(narrow.summary.parameters_hash != wide.summary.parameters_hash);
    for (const std::string& hash : narrow.hashes) CHECK(hash == narrow.hashes[0]);
    CHECK(distance(wide.parameters, narrow.parameters) < (exchange == "local_sgd" ? 1e-2 : 1e-3));
  }
}

TEST_CASE("a loss that is not finite inside a round ends all ranks with its step and samples") {
  SmallRun run = only_steps("local_sgd", 12);
  run.config.parallel.local_steps = 4;
  auto data = std::make_shared<TensorDataset>(64);
  std::vector<float> x(64 * 7, 0.5f), y(64, 1.0f);
  x[37 * 7 + 2] = std::numeric_limits<float>::quiet_NaN();
  data->add("x", {7}, std::move(x));
  data->add("target", {}, std::move(y));
  run.train = data;
  run.ranks = 3;
  const auto result = run.run();
  for (const std::string& error : result.errors) CHECK(error.find("the first bad tensor is 'x' of samples 37") != std::string::npos);
}
