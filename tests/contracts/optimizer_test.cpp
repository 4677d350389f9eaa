// Every registered optimiser against its closed form, written here in plain doubles; blocks give the bits of the whole.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <chorale/core/base/random.hpp>
#include <chorale/tests/contracts/differences.hpp>
#include <chorale/tests/contracts/optimizer_steps.hpp>

using namespace chorale;

namespace {

using Numbers = std::vector<double>;

/// A tensor and its state in the closed forms; of Adafactor m is the row means and v the column means, or the squares.
struct Whole {
  Numbers p, m = Numbers(p.size()), v = Numbers(p.size());
  std::int64_t rows = 0, columns = 0;  // 0: a vector
};

double norm(const Numbers& x) { return std::sqrt(std::inner_product(x.begin(), x.end(), x.begin(), 0.0)); }

/// One element by the rules that know nothing else.
void closed_form(const std::string& rule, const OptimizerConfig& c, double& p, double& m, double& v, double g, int t) {
  if (!c.decoupled)
    g += c.weight_decay * p;
  else
    p *= 1 - c.lr * c.weight_decay;
  if (rule == "sgd" || rule == "lars") {
    if (c.momentum == 0) return void(p -= c.lr * g);
    m = t == 1 ? g : c.momentum * m + (1 - c.dampening) * g;
    p -= c.lr * (c.nesterov ? g + c.momentum * m : m);
  } else if (rule == "rmsprop") {
    v = c.alpha * v + (1 - c.alpha) * g * g;
    const double step = g / (std::sqrt(v) + c.eps);
    m = c.momentum * m + step;
    p -= c.lr * (c.momentum > 0 ? m : step);
  } else if (rule == "adagrad") {
    v += g * g;
    p -= c.lr * g / (std::sqrt(v) + c.eps);
  } else if (rule == "adamax") {
    m = c.beta1 * m + (1 - c.beta1) * g;
    v = std::max(c.beta2 * v, std::fabs(g) + c.eps);
    p -= c.lr / (1 - std::pow(c.beta1, t)) * m / v;
  } else if (rule == "lion") {
    const double along = c.beta1 * m + (1 - c.beta1) * g;
    m = c.beta2 * m + (1 - c.beta2) * g;
    p -= c.lr * (along > 0 ? 1 : along < 0 ? -1 : 0);
  } else {
    m = c.beta1 * m + (1 - c.beta1) * g;
    v = c.beta2 * v + (1 - c.beta2) * g * g;
    const double root = std::sqrt(v / (1 - std::pow(c.beta2, t))) + c.eps;
    if (rule == "nadam") {
      double momenta = 1;
      const auto mu = [&](int s) { return c.beta1 * (1 - 0.5 * std::pow(0.96, s * c.momentum_decay)); };
      for (int s = 1; s <= t; ++s) momenta *= mu(s);
      p -= c.lr * ((1 - mu(t)) * g / (1 - momenta) + mu(t + 1) * m / (1 - momenta * mu(t + 1))) / root;
    } else {
      p -= c.lr * m / (1 - std::pow(c.beta1, t)) / root;
    }
  }
}

void lamb(const OptimizerConfig& c, Whole& w, const Numbers& g, int t) {
  Numbers u(g.size());
  for (std::size_t i = 0; i < g.size(); ++i) {
    const double d = g[i] + (c.decoupled ? 0 : c.weight_decay * w.p[i]);
    w.m[i] = c.beta1 * w.m[i] + (1 - c.beta1) * d;
    w.v[i] = c.beta2 * w.v[i] + (1 - c.beta2) * d * d;
    u[i] = w.m[i] / (1 - std::pow(c.beta1, t)) / (std::sqrt(w.v[i] / (1 - std::pow(c.beta2, t))) + c.eps);
    if (c.decoupled) u[i] += c.weight_decay * w.p[i];
  }
  const double trust = norm(w.p) > 0 && norm(u) > 0 ? norm(w.p) / norm(u) : 1;
  for (std::size_t i = 0; i < g.size(); ++i) w.p[i] -= c.lr * trust * u[i];
}

void adafactor(const OptimizerConfig& c, Whole& w, const Numbers& g, int t) {
  const double beta = 1 - std::pow(t, -0.8), n = static_cast<double>(g.size());
  const double rate = std::max(1e-3, norm(w.p) / std::sqrt(n)) * std::min(c.lr, 1 / std::sqrt(t));
  const auto R = static_cast<std::size_t>(w.rows), C = static_cast<std::size_t>(w.columns);
  Numbers u(g.size()), rows(R), columns(C);
  for (std::size_t i = 0; i < R * C; ++i) rows[i / C] += g[i] * g[i] / double(C), columns[i % C] += g[i] * g[i] / double(R);
  for (std::size_t r = 0; r < R; ++r) w.m[r] = beta * w.m[r] + (1 - beta) * rows[r];
  for (std::size_t k = 0; k < C; ++k) w.v[k] = beta * w.v[k] + (1 - beta) * columns[k];
  const double mean = std::max(c.eps, std::accumulate(w.m.begin(), w.m.begin() + w.rows, 0.0) / double(std::max<std::size_t>(R, 1)));
  for (std::size_t i = 0; i < g.size(); ++i) {
    if (C == 0) w.v[i] = beta * w.v[i] + (1 - beta) * g[i] * g[i];
    u[i] = g[i] / std::sqrt(std::max(c.eps * c.eps, C == 0 ? w.v[i] : w.m[i / C] * w.v[i % C] / mean));
  }
  for (std::size_t i = 0; i < g.size(); ++i)
    w.p[i] = w.p[i] * (1 - c.lr * c.weight_decay) - rate / std::max(1.0, norm(u) / std::sqrt(n)) * u[i];
}

void closed_form(const std::string& rule, const OptimizerConfig& c, Whole& w, Numbers g, int t) {
  OptimizerConfig own = c;
  if (rule == "lars") {
    const double trust = c.trust_coefficient * norm(w.p) / (norm(g) + (c.decoupled ? 0 : c.weight_decay) * norm(w.p) + c.eps);
    for (double& v : g) v *= trust;
    own.weight_decay *= c.decoupled ? 1 : trust, own.clip_value *= trust;
  }
  if (own.clip_value > 0)
    for (double& v : g) v = std::clamp(v, -own.clip_value, own.clip_value);
  if (rule == "lamb") return lamb(c, w, g, t);
  if (rule == "adafactor") return adafactor(c, w, g, t);
  for (std::size_t i = 0; i < g.size(); ++i) closed_form(rule, own, w.p[i], w.m[i], w.v[i], g[i], t);
}

/// A matrix, a vector and a matrix of one column, with gaps as in an arena; more than a block where `wide`.
std::vector<ArenaTensor> tensors_of(bool is_wide) {
  const std::int64_t columns = is_wide ? 900 : 7;
  return {{"a", {5, columns}, 0, 5 * columns}, {"b", {9}, 5 * columns + 3, 9}, {"c", {11, 1}, 5 * columns + 13, 11}};
}

constexpr int kSteps = 7;

std::vector<Numbers> gradients_of(std::size_t n) {
  RandomStream random(5);
  std::vector<Numbers> out(kSteps, Numbers(n));
  for (Numbers& g : out)
    for (double& v : g) v = static_cast<float>(4 * random.normal());  // equal in both types
  return out;
}

Numbers start_of(std::size_t n) {
  RandomStream random(3);
  Numbers out(n);
  for (double& v : out) v = static_cast<float>(random.normal());
  return out;
}

template <class T>
std::vector<double> train(Device& device, const OptimizerEntry& entry, const OptimizerConfig& config, bool is_wide, std::int64_t cut) {
  auto optimizer = entry.make(config);
  const std::vector<ArenaTensor> tensors = tensors_of(is_wide);
  const OptimizerMemory memory(device, *optimizer, tensors, dtype_of<T>);
  const auto n = static_cast<std::size_t>(tensors.back().first + tensors.back().count);
  const Numbers start = start_of(n);
  std::vector<T> p(start.begin(), start.end());
  const std::vector<Numbers> gradients = gradients_of(n);
  for (int t = 1; t <= kSteps; ++t) {
    const Numbers& now = gradients[static_cast<std::size_t>(t - 1)];
    optimizer_step<T>(device, *optimizer, t, 0.25, p, std::vector<T>(now.begin(), now.end()), cut);
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

/// Null: the rule refuses it.
const OptimizerConfig* taken(const std::string& rule, const OptimizerConfig& config) {
  return rule == "adafactor" && config.weight_decay > 0 && !config.decoupled ? nullptr : &config;
}

TEST_CASE("every optimiser follows its closed form, tensor by tensor, also over several blocks") {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  for (const std::string& name : registry.of<OptimizerEntry>().names()) {
    const OptimizerEntry& entry = registry.of<OptimizerEntry>().at(name, "optimizer");
    for (std::size_t which = 0; which < configs().size(); ++which)
      for (const bool is_wide : {false, true}) {
        CAPTURE(name, which, is_wide);
        const std::vector<OptimizerConfig> all = configs();
        const OptimizerConfig* config = taken(name, all[which]);
        if (!config) continue;
        const auto f64 = train<double>(*device, entry, *config, is_wide, Optimizer::kBlock);
        const auto f32 = train<float>(*device, entry, *config, is_wide, Optimizer::kBlock);
        const Numbers start = start_of(f64.size());
        const std::vector<Numbers> gradients = gradients_of(f64.size());
        for (const ArenaTensor& tensor : tensors_of(is_wide)) {
          const auto part = [&](const Numbers& x) { return Numbers(x.begin() + tensor.first, x.begin() + tensor.first + tensor.count); };
          Whole whole{part(start)};
          if (tensor.name == "a") whole.rows = tensor.shape[0], whole.columns = tensor.shape[1];
          for (int t = 1; t <= kSteps; ++t) {
            Numbers g = part(gradients[static_cast<std::size_t>(t - 1)]);
            for (double& v : g) v *= 0.25;
            closed_form(name, *config, whole, g, t);
          }
          CAPTURE(tensor.name);
          CHECK(relative_error(part(f64), whole.p) <= 1e-12);
          CHECK(relative_error(part(f32), whole.p) <= 1e-5);
        }
      }
  }
}

TEST_CASE("an optimiser gives the same bits in pieces as in one block") {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  for (const std::string& name : registry.of<OptimizerEntry>().names()) {
    const OptimizerEntry& entry = registry.of<OptimizerEntry>().at(name, "optimizer");
    OptimizerConfig config = configs()[7];
    config.decoupled = entry.decoupled_by_default;
    for (const std::int64_t cut : {1, 7, 64, 1000}) {
      CAPTURE(name, cut);
      CHECK(train<float>(*device, entry, config, true, cut) == train<float>(*device, entry, config, true, Optimizer::kBlock));
    }
  }
}
