#include "run_ranks.hpp"

#include <catch2/catch.hpp>

using namespace chorale;

namespace {

/// The device's requests to the system, noted after each step.
struct Requests : Callback {
  void on_step(const StepEvent&) override { counts.push_back(device->memory().system_allocations); }
  Device* device = nullptr;
  std::vector<std::uint64_t> counts;
};

/// Five epochs of seven steps on one rank.
std::vector<std::uint64_t> system_requests(const TrainerConfig& config, const std::string& layers, std::shared_ptr<Dataset> data) {
  Requests requests;
  Registry registry;
  register_all(registry);
  SilentLog log;
  auto device = make_cpu_device();
  requests.device = device.get();
  auto model = build_layers(layers, {7}, registry);
  auto loss = make_loss(config.train, {}, registry);
  auto rule = make_optimizer({.clip_norm = 1}, registry);
  auto comm = make_self_communicator();
  Trainer trainer({*comm, *device, *model, *loss, *rule, registry, log, data, nullptr, nullptr}, config);
  trainer.add(requests);
  trainer.run();
  return requests.counts;
}

}  // namespace

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
          const auto counts =
              system_requests(config, "linear(16) relu dropout(0.2) linear(33) gelu softmax elu linear(1)", small_data(rows, 7, 1));
          REQUIRE(counts.size() == 35);
          CHECK(counts[rows == 203 ? 2 : 8] == counts.back());
        }
}
