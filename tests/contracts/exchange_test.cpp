// Every exchange of the registry, at ranks and nodes of many shapes.
#include <catch2/catch.hpp>

#include "../train/run_ranks.hpp"

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
