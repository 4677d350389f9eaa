// Copies of the parameters for each NUMA domain, on domains that this machine need not have.
#include "run_ranks.hpp"

#include <catch2/catch.hpp>

#include <unistd.h>

#include <filesystem>
#include <fstream>

using namespace chorale;

namespace {

struct MachineFiles {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("chorale_copies_" + std::to_string(::getpid()));
  MachineFiles() { std::filesystem::remove_all(path); }
  ~MachineFiles() { std::filesystem::remove_all(path); }
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path / name).parent_path());
    std::ofstream(path / name) << text << "\n";
  }
};

/// What the start-up table is told.
struct Start : Callback {
  void on_start(const RunFacts& facts) override { copies = facts.copies; }
  std::string copies;
};

/// Several blocks, a border inside a tensor, an evaluation that keeps the best weights and an end that writes them back.
SmallRun run_of_six(const std::string& exchange) {
  SmallRun run;
  run.layers = "linear(90) relu dropout(0.2) linear(70) tanh linear(1)";
  run.config.train.batch = 32;
  run.config.train.epochs = 2;
  run.config.train.metrics = {"auc"};
  run.config.train.early_stop = {"validation.auc", "2"};
  run.config.parallel.virtual_workers = 6;
  run.config.parallel.exchange = exchange;
  run.optimizer.lr = 0.01;
  return run;
}

void check_same(const SmallRun::Result& found, const SmallRun::Result& reference) {
  for (const std::string& error : found.errors) CHECK(error == "");
  for (const std::string& hash : found.hashes) CHECK(hash == reference.summary.parameters_hash);  // each rank hashes its own copy
  CHECK(found.summary.best_parameters_hash == reference.summary.best_parameters_hash);
  CHECK(found.summary.metrics == reference.summary.metrics);
}

std::vector<NumaPlace> places_on(const std::vector<int>& domains, bool bound = true) {
  std::vector<NumaPlace> out;
  for (const int domain : domains) out.push_back({.domain = domain, .bound = bound, .cache_bytes = 32 << 20});
  return out;
}

}  // namespace

TEST_CASE("a copy for each domain gives the bits of one copy a node, with every exchange that shares parameters") {
  const auto reference = run_of_six("replicated").run();
  for (const std::string exchange : {"shared", "sharded", "auto"})
    for (const std::string wire : {"f32", "bf16"})
      for (const auto& [ranks, nodes] : std::vector<std::pair<int, int>>{{1, 1}, {2, 1}, {3, 1}, {6, 1}, {4, 2}, {6, 2}})
        for (const int domains : {1, 2, 3}) {
          if (exchange == "auto" && (ranks != 3 || wire == "bf16")) continue;
          if (wire == "bf16" && nodes == 1) continue;
          CAPTURE(exchange, wire, ranks, nodes, domains);
          SmallRun run = run_of_six(exchange);
          run.config.parallel.wire = wire;
          run.config.parallel.copies = "node";
          run.ranks = ranks, run.nodes = nodes;
          const auto once = wire == "f32" ? reference : run.run();
          Start start;
          run.callbacks = {&start};
          run.config.parallel.copies = "numa";
          run.domain_of = [domains](int local) { return 7 - local % domains; };  // neighbours apart, numbers with gaps
          check_same(run.run(), once);
          const int copies = std::min(domains, ranks / nodes);
          const std::string text = copies > 1 ? "one a NUMA domain, " + std::to_string(copies) + " a node" : "one a node (its ranks run on";
          if (exchange != "auto" || copies > 1) CHECK_THAT(start.copies, Catch::StartsWith(text));
        }
}

TEST_CASE("a norm, a narrow type of one's own and uneven domains do not make copies differ") {
  SmallRun run = run_of_six("shared");
  run.optimizer.clip_norm = 0.3;
  run.config.train.dtype = "f64";
  const auto reference = run.run();
  run.config.parallel.copies = "numa";
  run.domain_of = [](int local) { return local == 4 ? 1 : 0; };
  for (const std::string exchange : {"shared", "sharded"}) {
    CAPTURE(exchange);
    run.config.parallel.exchange = exchange;
    run.ranks = 5;
    check_same(run.run(), reference);
  }
}

TEST_CASE("a run with a copy for each domain resumes with other copies, ranks and exchanges") {
  const auto reference = run_of_six("shared").run();
  for (const std::string exchange : {"shared", "sharded"}) {
    CAPTURE(exchange);
    const MachineFiles folder;
    SmallRun run = run_of_six(exchange);
    run.config.checkpoint_folder = folder.path.string();
    run.config.parallel.copies = "numa";
    run.domain_of = [](int local) { return local % 2; };
    run.ranks = 6, run.nodes = 2, run.config.train.steps = 5;
    run.run();
    run.config.resume = true;
    run.ranks = 3, run.nodes = 1, run.config.train.steps = 9;
    run.run();
    run.config.train.steps = 0;
    run.domain_of = [](int local) { return local / 2; };
    run.ranks = 4;
    check_same(run.run(), reference);
  }
}

TEST_CASE("auto takes a copy for each domain only where ranks are bound to several and the parameters exceed the cache") {
  const std::int64_t small = 1 << 20, large = 100 << 20;
  const CopyPlan plan = plan_copies("auto", places_on({4, 4, 0, 0, 0}), large);
  CHECK(plan.copies == 2);
  CHECK(plan.copy_of == std::vector<int>{0, 0, 1, 1, 1});
  CHECK((plan.first_of(1) == 2 && plan.ranks_beside(4) == 3 && plan.place_of(4) == 2));
  CHECK(plan.text == "one a NUMA domain, 2 a node (100 MiB exceed the last-level cache of 32 MiB)");
  CHECK(plan_copies("auto", places_on({0, 1}), small).text == "one a node (1 MiB fit in the last-level cache of 32 MiB)");
  CHECK(plan_copies("auto", places_on({0, 1}, false), large).text == "one a node (ranks are not bound to NUMA domains)");
  CHECK(plan_copies("auto", places_on({1, 1}), large).text == "one a node (its ranks run on one NUMA domain)");
  CHECK(plan_copies("numa", places_on({1, 1}), large).text == "one a node (its ranks run on one NUMA domain)");
  CHECK(plan_copies("numa", places_on({0, 1}, false), small).copies == 2);
  CHECK(plan_copies("node", places_on({0, 1}), large).copies == 1);
}

TEST_CASE("copies mean nothing where every rank has its own, and that is said") {
  for (const std::string exchange : {"replicated", "local_sgd"})
    for (const std::string copies : {"node", "numa"}) {
      SmallRun run = run_of_six(exchange);
      run.config.parallel.copies = copies;
      CHECK_THAT(run.run().errors[0],
                 Catch::Contains("parallel.copies = " + copies + " does nothing with parallel.exchange = " + exchange) &&
                     Catch::Contains("remove it, or use shared or sharded"));
    }
}

TEST_CASE("a rank's domain and cache are read from the system's files") {
  const MachineFiles folder;
  folder.write("node/node0/cpulist", "0-3,8-11");
  folder.write("node/node12/cpulist", "4-7");
  folder.write("node/online", "0,12");
  folder.write("cpu/cpu5/cache/index0/level", "1");
  folder.write("cpu/cpu5/cache/index0/size", "32K");
  folder.write("cpu/cpu5/cache/index3/level", "3");
  folder.write("cpu/cpu5/cache/index3/size", "96M");
  const NumaPlace bound = numa_place({4, 5}, 5, folder.path), free = numa_place({5, 8}, 8, folder.path);
  CHECK((bound.domain == 12 && bound.bound == 1 && bound.cache_bytes == 96 << 20));
  CHECK((free.domain == 0 && free.bound == 0 && free.cache_bytes == 0));
  const NumaPlace nothing = numa_place({0, 1}, 1, folder.path / "none");
  CHECK((nothing.domain == 0 && nothing.bound == 1));
  CHECK(own_numa_place().domain >= 0);
}
