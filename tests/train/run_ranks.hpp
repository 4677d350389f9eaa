// Trains a small network on ranks that are threads, and gives back what rank 0 reports.
#pragma once
#include <exception>
#include <thread>

#include <chorale/core/base/random.hpp>
#include <chorale/core/data/tensor_dataset.hpp>
#include <chorale/core/nn/sequential.hpp>
#include <chorale/train/trainer.hpp>

namespace chorale {

/// Rows of `features` numbers with a class that depends on them.
inline std::shared_ptr<TensorDataset> small_data(std::int64_t rows, std::int64_t features, std::uint64_t seed) {
  auto data = std::make_shared<TensorDataset>(rows);
  std::vector<float> x, y;
  RandomStream random(seed);
  for (std::int64_t r = 0; r < rows; ++r) {
    double score = 0;
    for (std::int64_t f = 0; f < features; ++f) {
      x.push_back(static_cast<float>(random.normal()));
      score += x.back() * (f % 3 == 0 ? 1 : -0.5);
    }
    y.push_back(score + random.normal() > 0 ? 1.0f : 0.0f);
  }
  data->add("x", {features}, std::move(x));
  data->add("target", {}, std::move(y));
  return data;
}

struct SmallRun {
  std::string layers = "linear(16) relu dropout(0.2) linear(9) tanh linear(1)";
  TrainerConfig config;
  OptimizerOptions optimizer;
  std::shared_ptr<Dataset> train = small_data(203, 7, 1), validation = small_data(150, 7, 2), test;
  int ranks = 1, nodes = 1;
  std::int64_t features = 7;
  std::vector<Callback*> callbacks = {};
  Log* log = nullptr;  // of rank 0
  std::function<void(int rank, TrainerConfig&)> per_rank = {};
  std::function<int(int local_rank)> domain_of = {};  // NUMA domains of a machine that this one need not be
  std::vector<std::string> inject = {};               // as --inject
  TrialPace pace = {};
  std::function<std::unique_ptr<TrainingHook>(int rank)> hook = {};

  struct Result {
    Summary summary;
    std::vector<std::string> errors;                      // by rank, empty: none
    std::vector<double> parameters;                       // of rank 0, in the arena's order
    std::vector<std::string> hashes;                      // by rank
    std::vector<std::uint64_t> bytes_per_step;            // by rank: as the exchange states
    std::vector<std::optional<BatchInFlight>> in_flight;  // by rank, when its training has ended, also by an error
    std::vector<std::uint64_t> bytes_sent;                // by rank: as the communicator counted them, from the first step on
  };

  Result run() const {
    auto comms = make_thread_communicators(ranks, nodes);
    Result out;
    out.errors.resize(static_cast<std::size_t>(ranks)), out.hashes.resize(static_cast<std::size_t>(ranks));
    out.in_flight.resize(static_cast<std::size_t>(ranks));
    out.bytes_per_step.resize(static_cast<std::size_t>(ranks)), out.bytes_sent.resize(static_cast<std::size_t>(ranks));
    std::vector<std::thread> threads;
    for (int r = 0; r < ranks; ++r) {
      threads.emplace_back([&, r] {
        try {
          run_rank(r, *comms[static_cast<std::size_t>(r)], out);
        } catch (const std::exception& e) {
          out.errors[static_cast<std::size_t>(r)] = e.what();
          comms[static_cast<std::size_t>(r)]->abort(e.what());
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    return out;
  }

 private:
  void run_rank(int r, Communicator& comm, Result& out) const {
    Registry registry;
    register_all(registry);
    SilentLog silent;
    Log& words = r == 0 && log ? *log : silent;
    auto device = make_cpu_device();
    auto model = build_layers(layers, {features}, registry);
    auto loss = make_loss(config.train, {}, registry);
    auto rule = make_optimizer(optimizer, registry);
    TrainerConfig mine = config;
    mine.lr_factors = optimizer.lr_factors;
    if (per_rank) per_rank(r, mine);
    if (!inject.empty()) comm.watch().inject(std::make_unique<Faults>(inject, r, [&comm] { return comm.is_aborted(); }));
    const std::unique_ptr<TrainingHook> taking_part = hook ? hook(r) : nullptr;
    Trainer trainer({comm, *device, *model, *loss, *rule, registry, words, train, validation, test, domain_of, pace, {}, taking_part.get()},
                    mine);
    const std::uint64_t before = comm.bytes_sent();  // the start measures the link, with as many messages as that takes
    for (Callback* callback : callbacks) trainer.add(*callback);
    const auto note = [&] { out.in_flight[static_cast<std::size_t>(r)] = trainer.batch_in_flight(); };
    const Summary summary = [&] {
      try {
        return trainer.run();
      } catch (...) {
        note();
        throw;
      }
    }();
    note();
    out.hashes[static_cast<std::size_t>(r)] = summary.parameters_hash;
    out.bytes_per_step[static_cast<std::size_t>(r)] = trainer.bytes_per_step();
    out.bytes_sent[static_cast<std::size_t>(r)] = comm.bytes_sent() - before;
    if (r != 0) return;
    out.summary = summary;
    const Buffer values = trainer.params().values();
    for (std::int64_t i = 0; i < values.elements; ++i)
      out.parameters.push_back(values.dtype == DType::f32 ? static_cast<double>(values.as<float>()[i]) : values.as<double>()[i]);
  }
};

}  // namespace chorale
