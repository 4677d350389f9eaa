#include <chorale/tests/bench/floor/mlp.hpp>

#include <algorithm>
#include <cmath>
#include <random>

namespace chorale::bench {

Mlp::Mlp(std::vector<int> widths, int batch, Gemm gemm) : batch_(batch), gemm_(gemm) {
  const auto padded = [](std::size_t n) { return (n + 15) / 16 * 16; };
  for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
    Layer layer{.in = widths[i], .out = widths[i + 1], .weight = 0, .bias = 0, .y = {}, .dy = {}};
    layer.y.resize(static_cast<std::size_t>(batch) * widths[i + 1]);
    layer.dy.resize(layer.y.size());
    layers_.push_back(std::move(layer));
  }
  for (auto layer = layers_.rbegin(); layer != layers_.rend(); ++layer) {  // backward then fills the gradients from the front
    layer->weight = parameters_;
    parameters_ += padded(static_cast<std::size_t>(layer->in) * layer->out);
    layer->bias = parameters_;
    parameters_ += padded(layer->out);
  }
  x_.resize(static_cast<std::size_t>(batch) * widths.front());
  target_.resize(batch);
}

void Mlp::initialise(float* p) const {
  std::mt19937 random(1);
  for (const Layer& layer : layers_) {
    const float bound = 1 / std::sqrt(static_cast<float>(layer.in));
    std::uniform_real_distribution<float> uniform(-bound, bound);
    for (std::size_t j = 0; j < static_cast<std::size_t>(layer.in) * layer.out; ++j) p[layer.weight + j] = uniform(random);
  }
}

void Mlp::make_batch(unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  for (float& value : x_) value = normal(random);
  const unsigned classes = std::max(2, layers_.back().out);
  for (int& value : target_) value = static_cast<int>(random() % classes);
}

void Mlp::forward(const float* p) {
  const float* x = x_.data();
  for (Layer& layer : layers_) {
    for (int b = 0; b < batch_; ++b) std::copy_n(p + layer.bias, layer.out, layer.y.data() + static_cast<std::size_t>(b) * layer.out);
    multiply(gemm_, {.m = batch_, .n = layer.out, .k = layer.in, .beta = 1}, x, p + layer.weight, layer.y.data());
    if (&layer != &layers_.back())
      for (float& y : layer.y) y = std::max(y, 0.0f);
    x = layer.y.data();
  }
}

double Mlp::binary_loss(Layer& last) {
  double sum = 0;
  for (int b = 0; b < batch_; ++b) {
    const float z = last.y[b], t = static_cast<float>(target_[b]);
    sum += std::max(z, 0.0f) - z * t + std::log1p(std::exp(-std::fabs(z)));
    last.dy[b] = 1 / (1 + std::exp(-z)) - t;
  }
  return sum / batch_;
}

double Mlp::class_loss(Layer& last) {
  double total = 0;
  for (int b = 0; b < batch_; ++b) {
    const float* z = last.y.data() + static_cast<std::size_t>(b) * last.out;
    float* dz = last.dy.data() + static_cast<std::size_t>(b) * last.out;
    const float most = *std::max_element(z, z + last.out);
    float sum = 0;
    for (int c = 0; c < last.out; ++c) sum += dz[c] = std::exp(z[c] - most);
    for (int c = 0; c < last.out; ++c) dz[c] /= sum;
    total += std::log(sum) + most - z[target_[b]];
    dz[target_[b]] -= 1;
  }
  return total / batch_;
}

double Mlp::loss() { return layers_.back().out == 1 ? binary_loss(layers_.back()) : class_loss(layers_.back()); }

void Mlp::backward(const float* p, float* g) {
  for (std::size_t i = layers_.size(); i-- > 0;) {
    Layer& layer = layers_[i];
    const float* x = i > 0 ? layers_[i - 1].y.data() : x_.data();
    const Product weight = {.m = layer.in, .n = layer.out, .k = batch_, .a_transposed = true};
    multiply(gemm_, weight, x, layer.dy.data(), g + layer.weight);
    float* db = g + layer.bias;
    std::fill_n(db, layer.out, 0.0f);
    for (int b = 0; b < batch_; ++b)
      for (int j = 0; j < layer.out; ++j) db[j] += layer.dy[static_cast<std::size_t>(b) * layer.out + j];
    if (i == 0) return;
    Layer& below = layers_[i - 1];
    const Product input = {.m = batch_, .n = layer.in, .k = layer.out, .b_transposed = true};
    multiply(gemm_, input, layer.dy.data(), p + layer.weight, below.dy.data());
    for (std::size_t j = 0; j < below.dy.size(); ++j) below.dy[j] = below.y[j] > 0 ? below.dy[j] : 0;
  }
}

}  // namespace chorale::bench
