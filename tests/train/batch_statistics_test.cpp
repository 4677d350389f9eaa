#include "folder.hpp"
#include "results.hpp"

#include <catch2/catch.hpp>

#include <regex>

#include <chorale/core/io/safetensors_file.hpp>

using namespace chorale;

namespace {

const std::string kBlock = "conv2d(3, 3, padding=1, bias=false) batch_norm relu conv2d(3, 3, padding=1, bias=false) batch_norm";

/// A residual network over "images" of 3 x 3 x 1.
SmallRun residual_run() {
  SmallRun run;
  run.features = 9;
  run.layers = "reshape(3x3x1) conv2d(3, 3, padding=1, bias=false) batch_norm relu residual(" + kBlock +
               ") relu residual(conv2d(4, 3, stride=2, padding=1) batch_norm | conv2d(4, 1, stride=2)) relu adaptive_avg_pool2d(1) flatten "
               "linear(1)";
  run.train = small_data(203, 9, 1), run.validation = small_data(60, 9, 2);
  run.config.train.batch = 32;
  run.config.train.epochs = 2;
  run.optimizer.lr = 0.01;
  return run;
}

}  // namespace

TEST_CASE("a residual network with batch normalisation has the same bits at every number of ranks, between nodes and in every exchange") {
  for (const std::string exchange : {"shared", "replicated", "sharded"}) {
    SmallRun run = residual_run();
    run.config.parallel.virtual_workers = 4;
    run.config.parallel.exchange = exchange;
    const auto reference = run.run();
    check_no_errors(reference);
    for (const auto& [ranks, nodes] : std::vector<std::pair<int, int>>{{2, 1}, {3, 1}, {4, 1}, {2, 2}, {4, 2}}) {
      CAPTURE(exchange, ranks, nodes);
      run.ranks = ranks, run.nodes = nodes;
      const auto result = run.run();
      check_no_errors(result);
      for (const std::string& hash : result.hashes) CHECK(hash == reference.summary.parameters_hash);
      CHECK(result.summary.metrics == reference.summary.metrics);
    }
  }
}

TEST_CASE("running statistics are those of the whole batch, however many virtual workers it has") {
  SmallRun run;
  run.layers = "batch_norm(momentum=0.25) linear(1)";
  run.config.train.batch = 203;  // so that each step sees all rows
  run.config.train.epochs = 3;
  run.config.train.dtype = "f64";
  const auto buffers = [&] {
    const auto result = run.run();
    check_no_errors(result);
    return std::vector<double>(result.parameters.end() - 24, result.parameters.end());  // 1, 7 and 7 values, each begun at 64 bytes
  };
  const std::vector<double> whole = buffers();
  CHECK(whole[0] == 3);  // num_batches_tracked
  const auto data = small_data(203, 7, 1);
  std::vector<std::int64_t> rows(203);
  for (std::size_t r = 0; r < rows.size(); ++r) rows[r] = static_cast<std::int64_t>(r);
  auto device = make_cpu_device();
  const Tensor x = Replica::gather(*data, rows, *device, DType::f64).at("x").value();
  for (std::size_t f = 0; f < 7; ++f) {
    double mean = 0, squares = 0;
    for (std::size_t r = 0; r < 203; ++r) mean += x.data<double>()[7 * r + f] / 203;
    for (std::size_t r = 0; r < 203; ++r) squares += std::pow(x.data<double>()[7 * r + f] - mean, 2);
    const double old_share = std::pow(0.75, 3);
    CHECK(whole[8 + f] == Approx(old_share + (1 - old_share) * squares / 202).epsilon(1e-12));
    CHECK(whole[16 + f] == Approx((1 - old_share) * mean).epsilon(1e-12));
  }
  run.config.parallel.virtual_workers = 5;
  run.config.train.accumulate = 2;
  CHECK(distance(whole, buffers()) <= 1e-13);
}

TEST_CASE("running statistics are saved and gone on from, and a step whose loss is not finite leaves them alone") {
  Folder folder;
  SmallRun run = residual_run();
  run.config.parallel.virtual_workers = 4;
  const auto whole = run.run();
  run.config.checkpoint_folder = (folder.path / "checkpoints").string();
  run.config.train.steps = 5;
  run.ranks = 3;
  check_no_errors(run.run());
  const SafetensorsFile file((folder.path / "checkpoints" / "step_5" / "model.safetensors").string());
  CHECK(file.at("2.running_var").shape == Shape{3});
  CHECK(file.at("2.num_batches_tracked").shape == Shape{});
  CHECK(*static_cast<const float*>(file.at("4.main.1.num_batches_tracked").data) == 5);
  run.config.train.steps = 0;
  run.config.resume = true;
  run.ranks = 2;
  const auto resumed = run.run();
  check_no_errors(resumed);
  CHECK(resumed.summary.parameters_hash == whole.summary.parameters_hash);

  SmallRun spoilt;
  spoilt.layers = "batch_norm linear(1)";
  spoilt.config.train.epochs = 1, spoilt.config.train.batch = 203, spoilt.config.train.on_nan = "skip";
  spoilt.inject = {"nan@0:1"};
  const auto skipped = spoilt.run();
  check_no_errors(skipped);
  CHECK(skipped.summary.skipped_steps == 1);
  const std::vector<double> buffers(skipped.parameters.end() - 48, skipped.parameters.end());
  CHECK(buffers[0] == 0);
  CHECK(buffers[16] == 1);
  CHECK(buffers[32] == 0);
}

TEST_CASE("synchronised batch normalisation computes at any number of ranks what one rank does with the whole batch") {
  for (const std::string dtype : {"f64", "f32"}) {
    SmallRun run = residual_run();
    run.layers = std::regex_replace(run.layers, std::regex("batch_norm"), "batch_norm(sync=true)");
    run.config.train.dtype = dtype;
    run.optimizer.name = "sgd";
    const auto one = run.run();
    check_no_errors(one);
    for (const auto& [ranks, nodes] : std::vector<std::pair<int, int>>{{2, 1}, {3, 1}, {4, 2}}) {
      CAPTURE(dtype, ranks, nodes);
      run.ranks = ranks, run.nodes = nodes;
      const auto result = run.run();
      check_no_errors(result);
      for (const std::string& hash : result.hashes) CHECK(hash == result.summary.parameters_hash);
      CHECK(distance(one.parameters, result.parameters) <= (dtype == "f64" ? 1e-10 : 1e-4));
    }
  }
}

TEST_CASE("what batch normalisation cannot follow is refused on every rank with the remedy") {
  SmallRun run;
  run.layers = "linear(4) batch_norm(sync=true) linear(1)";
  run.ranks = 2;
  run.config.train.batch = 32;
  const auto refused = [&](const std::string& words) {
    const auto result = run.run();
    for (const std::string& error : result.errors) CHECK(error.find(words) != std::string::npos);
  };
  run.config.parallel.virtual_workers = 4;
  refused("use --parallel.virtual_workers 2, or remove sync=true");
  run.config.parallel.virtual_workers = 2;
  run.config.train.accumulate = 2;
  refused("which train.accumulate = 2 takes apart");
  run.config.train.accumulate = 1;
  run.config.train.batch = 101;  // of 203 rows
  refused("the last batch of an epoch has 1 rows for 2 ranks; choose another train.batch");
  run.config.train.batch = 32;
  run.config.parallel.exchange = "local_sgd";
  refused("use group_norm or layer_norm, or another exchange");
}
