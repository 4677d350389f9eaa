#include "run_ranks.hpp"

#include <catch2/catch.hpp>

#include <thread>

using namespace chorale;

namespace {

/// The device's requests to the system, noted after each step.
struct Requests : Callback {
  void on_step(const StepEvent&) override { counts.push_back(device->memory().system_allocations); }
  Device* device = nullptr;
  std::vector<std::uint64_t> counts;
};

/// Five epochs of seven steps; rank 0's answer counts.
std::vector<std::uint64_t> system_requests(Communicator& comm, const TrainerConfig& config, const std::string& layers,
                                           std::shared_ptr<Dataset> data) {
  Requests requests;
  Registry registry;
  register_all(registry);
  SilentLog log;
  auto device = make_cpu_device();
  requests.device = device.get();
  auto model = build_layers(layers, {7}, registry);
  auto loss = make_loss(config.train, {}, registry);
  auto rule = make_optimizer({.clip_norm = 1}, registry);
  Trainer trainer({comm, *device, *model, *loss, *rule, registry, log, data, nullptr, nullptr}, config);
  trainer.add(requests);
  trainer.run();
  return requests.counts;
}

}  // namespace

TEST_CASE("between nodes too a step takes nothing from the system for tensors, whoever carries the gradients") {
  for (const std::string exchange : {"replicated", "shared", "sharded"})
    for (const std::string wire : {"f32", "bf16"})
      for (const std::string overlap : {"layers", "thread"}) {
        CAPTURE(exchange, wire, overlap);
        TrainerConfig config;
        config.train.batch = 29;
        config.train.epochs = 5;
        config.parallel.exchange = exchange, config.parallel.wire = wire, config.parallel.overlap = overlap;
        const auto data = small_data(203, 7, 1);
        auto comms = make_thread_communicators(2, 2);
        std::vector<std::uint64_t> counts;
        std::thread other([&] { system_requests(*comms[1], config, "linear(90) relu linear(70) linear(1)", data); });
        counts = system_requests(*comms[0], config, "linear(90) relu linear(70) linear(1)", data);
        other.join();
        REQUIRE(counts.size() == 35);
        CHECK(counts[5] == counts.back());  // buckets are planned after the third step
      }
}

TEST_CASE("after warm-up a step takes nothing from the system for tensors") {
  for (const std::string dtype : {"f32", "f64"})
    for (const std::int64_t workers : {1, 3})
      for (const std::int64_t accumulate : {1, 2})
        for (const std::int64_t rows : {203, 190}) {  // full batches only; a last one of 16 rows, whose own sizes come once
          CAPTURE(dtype, workers, accumulate, rows);
          TrainerConfig config;
          config.train.batch = 29;
          config.train.epochs = 5;
          config.train.dtype = dtype;
          config.train.accumulate = accumulate;
          config.parallel.virtual_workers = workers;
          const auto comm = make_self_communicator();
          const auto counts =
              system_requests(*comm, config, "linear(16) relu dropout(0.2) linear(33) gelu softmax elu linear(1)", small_data(rows, 7, 1));
          REQUIRE(counts.size() == 35);
          CHECK(counts[rows == 203 ? 2 : 8] == counts.back());
        }
}
