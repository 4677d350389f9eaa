// A torch::nn module on many ranks, which libtorch alone does not offer in C++: its gradients, our exchange and optimiser.
//   mpirun -np 2 ./torch_module [WIDTHS [BATCH_PER_RANK [STEPS]]]      for instance 100,128,64,1 32 5000
#include <torch/torch.h>

#include <chorale/comm/backends/mpi.hpp>
#include <chorale/train/gradient_engine.hpp>
#include <chrono>
#include <cstdio>
#include <sstream>

int main(int argc, char** argv) {
  torch::set_num_threads(1);
  torch::manual_seed(1);
  const auto comm = chorale::make_mpi_world();
  std::vector<std::int64_t> widths;
  std::stringstream words(argc > 1 ? argv[1] : "100,128,64,1");
  for (std::string word; std::getline(words, word, ',');) widths.push_back(std::stoll(word));
  const std::int64_t batch = argc > 2 ? std::stoll(argv[2]) : 32, steps = argc > 3 ? std::stoll(argv[3]) : 2000;

  torch::nn::Sequential model;
  for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
    if (i > 0) model->push_back(torch::nn::ReLU());
    model->push_back(torch::nn::Linear(widths[i], widths[i + 1]));
  }
  std::vector<torch::Tensor> parameters = model->parameters();
  chorale::GradientEngine engine(*comm, {.optimizer = {.name = "adam", .lr = 0.001}});
  for (std::size_t i = 0; i < parameters.size(); ++i)
    engine.add_copy("parameter " + std::to_string(i), {parameters[i].data_ptr<float>(), static_cast<std::size_t>(parameters[i].numel())});
  engine.start();
  for (std::size_t i = 0; i < parameters.size(); ++i)  // from here on the module computes on the engine's memory
    parameters[i].set_data(torch::from_blob(engine.values(i).data(), parameters[i].sizes()));

  const torch::Tensor x = torch::randn({batch, widths.front()});
  const bool classes = widths.back() > 1;
  const torch::Tensor y = classes ? torch::randint(widths.back(), {batch}) : torch::randint(2, {batch, 1}).to(torch::kFloat);
  std::vector<double> ms;
  double loss = 0;
  for (std::int64_t step = 0; step < steps; ++step) {
    const auto start = std::chrono::steady_clock::now();
    const torch::Tensor z = model->forward(x);
    const torch::Tensor sum =
        classes ? torch::nn::functional::cross_entropy(z, y, torch::nn::functional::CrossEntropyFuncOptions().reduction(torch::kSum))
                : torch::binary_cross_entropy_with_logits(z, y, {}, {}, at::Reduction::Sum);
    sum.backward();
    for (std::size_t i = parameters.size(); i-- > 0;) {
      engine.ready(i, {parameters[i].grad().data_ptr<float>(), static_cast<std::size_t>(parameters[i].numel())});
      parameters[i].mutable_grad().reset();
    }
    loss = engine.step(static_cast<double>(batch), sum.item<double>());
    ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::nth_element(ms.begin(), ms.begin() + static_cast<std::ptrdiff_t>(ms.size() / 2), ms.end());
  const double median = ms[ms.size() / 2];
  if (comm->rank() == 0)
    std::printf("{\"ranks\": %d, \"step_ms\": %.5f, \"samples_per_second\": %.0f, \"loss\": %.5f}\n", comm->size(), median,
                1000 / median * static_cast<double>(batch) * comm->size(), loss);
}
