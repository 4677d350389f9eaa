// A module, a loss and a data set of one's own, trained on however many ranks mpirun starts: mpirun -np 2 ./own_model
#include <chorale/comm/backends/mpi.hpp>
#include <chorale/core/autograd/ops.hpp>
#include <chorale/core/data/tensor_dataset.hpp>
#include <chorale/core/nn/linear.hpp>
#include <chorale/train/common_device.hpp>
#include <chorale/train/trainer.hpp>
#include <cstdio>

using namespace chorale;

struct TwoTowers : Module {  // two views of a sample, multiplied
  Linear left{8, 16}, right{8, 16}, out{16, 1};
  TwoTowers() { add_child("left", left), add_child("right", right), add_child("out", out); }
  Values forward(const Values& in, const Pass& pass) override {
    const Variable a = relu(left.forward(in.at("x"), pass)), b = tanh(right.forward(in.at("x"), pass));
    return {{"y", out.forward(a * b, pass)}};
  }
  std::string name() const override { return "two towers"; }
};

struct LogCosh : Loss {  // log(cosh(error)), a smooth absolute error
  LossValue forward(const Variable& prediction, const Tensor& target, const Tensor& weight) override {
    const Variable error = prediction - reshape(target, prediction.shape());
    const Variable cosh = 0.5 * (exp(error) + exp(-1.0 * error));
    return weighted_sum(row_sums(log(cosh)), weight);
  }
  Task task() const override { return Task::value; }
  Tensor predict(const Tensor& prediction) const override { return prediction; }
};

std::shared_ptr<TensorDataset> waves(std::int64_t rows) {
  auto data = std::make_shared<TensorDataset>(rows);
  RandomStream random(5);
  std::vector<float> x, y;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (int f = 0; f < 8; ++f) x.push_back(static_cast<float>(random.uniform()));
    y.push_back(x[x.size() - 1] * x[x.size() - 2] - x[x.size() - 3]);
  }
  data->add("x", {8}, x), data->add("target", {}, y);
  return data;
}

int main() {
  const auto comm = make_mpi_world();
  const auto device = make_common_device(*comm, {});
  Registry registry;
  register_all(registry);
  SilentLog log;
  TwoTowers model;
  LogCosh loss;
  const auto optimizer = make_optimizer({.name = "adam", .lr = 0.01}, registry);
  TrainerConfig config;
  config.train.batch = 64, config.train.epochs = 20, config.train.metrics = {"rmse"};
  Trainer trainer({*comm, *device, model, loss, *optimizer, registry, log, waves(4096), nullptr, nullptr}, config);
  const Summary result = trainer.run();
  if (comm->rank() == 0)
    std::printf("%d ranks, rmse %.4f, parameters %s\n", comm->size(), result.metrics.at("train").at("rmse"),
                result.parameters_hash.c_str());
}
