// Every registered optimiser against its closed form, written here in plain doubles; blocks give the bits of the whole.
#include <catch2/catch.hpp>

#include <cmath>

#include <chorale/core/base/random.hpp>
#include <chorale/core/optim/optimizer.hpp>
#include <chorale/core/tensor/tensor.hpp>

using namespace chorale;

namespace {

struct Scalar {  // one parameter's state in the closed forms
  double p, m = 0, v = 0;
};

void closed_form(const std::string& rule, const OptimizerConfig& c, Scalar& s, double g, int t) {
  if (c.clip_value > 0) g = std::min(std::max(g, -c.clip_value), c.clip_value);
  if (!c.decoupled)
    g += c.weight_decay * s.p;
  else
    s.p *= 1 - c.lr * c.weight_decay;
  if (rule == "sgd") {
    if (c.momentum == 0) return void(s.p -= c.lr * g);
    s.m = t == 1 ? g : c.momentum * s.m + (1 - c.dampening) * g;
    s.p -= c.lr * (c.nesterov ? g + c.momentum * s.m : s.m);
  } else if (rule == "rmsprop") {
    s.v = c.alpha * s.v + (1 - c.alpha) * g * g;
    const double step = g / (std::sqrt(s.v) + c.eps);
    s.m = c.momentum * s.m + step;
    s.p -= c.lr * (c.momentum > 0 ? s.m : step);
  } else if (rule == "adagrad") {
    s.v += g * g;
    s.p -= c.lr * g / (std::sqrt(s.v) + c.eps);
  } else {
    s.m = c.beta1 * s.m + (1 - c.beta1) * g;
    s.v = c.beta2 * s.v + (1 - c.beta2) * g * g;
    const double m = s.m / (1 - std::pow(c.beta1, t)), v = s.v / (1 - std::pow(c.beta2, t));
    s.p -= c.lr * m / (std::sqrt(v) + c.eps);
  }
}

template <class T>
std::vector<double> train(Device& device, const OptimizerEntry& entry, const OptimizerConfig& config, std::int64_t n, std::int64_t block) {
  auto optimizer = entry.make(config);
  std::vector<Tensor> memory;
  std::vector<Buffer> state;
  for (std::size_t i = 0; i < optimizer->state_names().size(); ++i)
    state.push_back(memory.emplace_back(Tensor::zeros(device, {n}, dtype_of<T>)).buffer());
  optimizer->bind(state);
  std::vector<T> p(static_cast<std::size_t>(n)), g(p.size());
  RandomStream random(3);
  for (T& v : p) v = static_cast<T>(random.normal());
  for (int t = 1; t <= 7; ++t) {
    for (T& v : g) v = static_cast<T>(4 * random.normal());
    optimizer->begin_step(t, 0.25);
    for (std::int64_t first = 0; first < n; first += block) {
      const std::int64_t count = std::min(block, n - first);
      optimizer->template apply<T>(device, p.data() + first, g.data() + first, first, count);
    }
  }
  return {p.begin(), p.end()};
}

std::vector<OptimizerConfig> configs() {
  std::vector<OptimizerConfig> out(8);
  for (OptimizerConfig& c : out) c.lr = 0.05;
  out[1].momentum = 0.9;
  out[2].momentum = 0.9, out[2].nesterov = true;
  out[3].momentum = 0.8, out[3].dampening = 0.3;
  out[4].weight_decay = 0.1;
  out[5].weight_decay = 0.1, out[5].decoupled = true;
  out[6].clip_value = 0.6;
  out[7].momentum = 0.5, out[7].weight_decay = 0.02;
  return out;
}

}  // namespace

TEST_CASE("every optimiser follows its closed form") {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  for (const std::string& name : registry.of<OptimizerEntry>().names()) {
    const OptimizerEntry& entry = registry.of<OptimizerEntry>().at(name, "optimizer");
    for (std::size_t which = 0; which < configs().size(); ++which) {
      CAPTURE(name, which);
      const OptimizerConfig config = configs()[which];
      const auto wide = train<double>(*device, entry, config, 37, 37), narrow = train<float>(*device, entry, config, 37, 37);
      RandomStream random(3);
      std::vector<Scalar> s;
      for (int i = 0; i < 37; ++i) s.push_back({random.normal()});
      for (int t = 1; t <= 7; ++t)
        for (Scalar& one : s) closed_form(name, config, one, 0.25 * 4 * random.normal(), t);
      for (std::size_t i = 0; i < s.size(); ++i) {
        CHECK(wide[i] == Approx(s[i].p).epsilon(1e-10).margin(1e-12));
        CHECK(narrow[i] == Approx(s[i].p).epsilon(1e-3).margin(1e-3));  // early Adam steps are signs of g: rounding is amplified
      }
    }
  }
}

TEST_CASE("an optimiser gives the same bits in blocks as in one piece") {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  for (const std::string& name : registry.of<OptimizerEntry>().names()) {
    const OptimizerEntry& entry = registry.of<OptimizerEntry>().at(name, "optimizer");
    for (const std::int64_t block : {1, 7, 64, 1000}) {
      CAPTURE(name, block);
      CHECK(train<float>(*device, entry, configs()[7], 1003, block) == train<float>(*device, entry, configs()[7], 1003, 1003));
    }
  }
}
