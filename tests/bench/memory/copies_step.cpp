// A step with one copy of the parameters a node beside one for each of two NUMA domains, on two ranks that are threads. The domains are
// only said to be two: on a machine with one, this is what the third meeting and the copying cost, without what they are for.
//   copies_step [ROUNDS] [shared|sharded]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include <chorale/core/base/random.hpp>
#include <chorale/core/data/tensor_dataset.hpp>
#include <chorale/core/nn/sequential.hpp>
#include <chorale/train/trainer.hpp>

using namespace chorale;

namespace {

struct Network {
  const char* name;
  const char* layers;
  std::int64_t input, batch, steps;
};

std::shared_ptr<TensorDataset> generated(const Network& network) {
  const std::int64_t rows = 16 * network.batch;
  auto data = std::make_shared<TensorDataset>(rows);
  RandomStream random(1);
  std::vector<float> x(static_cast<std::size_t>(rows * network.input)), y(static_cast<std::size_t>(rows));
  for (float& v : x) v = static_cast<float>(random.normal());
  for (float& v : y) v = static_cast<float>(random.below(10));
  data->add("x", {network.input}, std::move(x));
  data->add("target", {}, std::move(y));
  return data;
}

/// Median step of rank 0, in ms.
double step_ms(const Network& network, const std::string& exchange, const std::string& copies) {
  auto comms = make_thread_communicators(2);
  const auto data = generated(network);
  double out = 0;
  std::vector<std::thread> threads;
  for (int r = 0; r < 2; ++r)
    threads.emplace_back([&, r] {
      Registry registry;
      register_all(registry);
      SilentLog log;
      auto device = make_cpu_device();
      auto model = build_layers(network.layers, {network.input}, registry);
      TrainerConfig config;
      config.train.loss = "cross_entropy", config.train.batch = network.batch, config.train.steps = network.steps;
      config.parallel.exchange = exchange, config.parallel.copies = copies;
      config.final_evaluation = false;
      auto loss = make_loss(config.train, {}, registry);
      auto rule = make_optimizer({}, registry);
      Trainer trainer({*comms[static_cast<std::size_t>(r)], *device, *model, *loss, *rule, registry, log, data, nullptr, nullptr,
                       [](int local) { return local; }},
                      config);
      const Summary summary = trainer.run();
      if (r == 0) out = summary.step_ms_p50;
    });
  for (std::thread& thread : threads) thread.join();
  return out;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int count, char** words) {
  const int rounds = count > 1 ? std::atoi(words[1]) : 7;
  const std::string exchange = count > 2 ? words[2] : "shared";
  if (rounds < 1) return std::fprintf(stderr, "copies_step [ROUNDS] [shared|sharded]\n"), 64;
  for (const Network& network : {Network{"article", "linear(128) relu linear(64) relu linear(10)", 100, 64, 1500},
                                 Network{"mlp", "linear(512) relu linear(512) relu linear(10)", 784, 256, 120},
                                 Network{"8 million", "linear(2048) relu linear(2048) relu linear(1024)", 1024, 64, 20}}) {
    std::vector<double> node, numa, ratio;
    for (int round = 0; round < rounds; ++round) {
      node.push_back(step_ms(network, exchange, "node"));
      numa.push_back(step_ms(network, exchange, "numa"));
      ratio.push_back(numa.back() / node.back());
    }
    std::printf("%-9s %s: node %.4f ms, numa %.4f ms, median of the quotients %.3f, of the best rounds %.3f\n", network.name,
                exchange.c_str(), median(node), median(numa), median(ratio),
                *std::min_element(numa.begin(), numa.end()) / *std::min_element(node.begin(), node.end()));
    std::fflush(stdout);
  }
}
