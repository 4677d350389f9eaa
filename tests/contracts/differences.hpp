// Central differences in double precision against backward, and f32 against f64.
#pragma once
#include <cmath>
#include <functional>
#include <vector>

#include <chorale/core/autograd/ops.hpp>
#include <chorale/core/base/random.hpp>

namespace chorale {

inline Tensor random_tensor(Device& device, const Shape& shape, DType dtype, std::uint64_t seed, double scale = 1) {
  Tensor t = Tensor::empty(device, shape, dtype);
  RandomStream random(seed);
  with_float_type(dtype, [&]<class T>() {
    // 0.03 away from 0, where relu and its like have no derivative.
    for (std::int64_t i = 0; i < t.elements(); ++i) {
      const double v = scale * random.normal();
      t.data<T>()[i] = static_cast<T>(static_cast<float>(v + (v < 0 ? -0.03 : 0.03)));
    }
  });
  return t;
}

inline std::vector<double> doubles(const Tensor& t) {
  std::vector<double> out;
  with_float_type(t.dtype(), [&]<class T>() { out.assign(t.data<T>(), t.data<T>() + t.elements()); });
  return out;
}

/// ||a - b|| / ||b||
inline double relative_error(const std::vector<double>& a, const std::vector<double>& b) {
  double difference = 0, length = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference += (a[i] - b[i]) * (a[i] - b[i]), length += b[i] * b[i];
  return length > 0 ? std::sqrt(difference / length) : std::sqrt(difference);
}

/// A leaf over `value` whose gradient can be read back.
struct Leaf {
  explicit Leaf(Tensor v) : value(std::move(v)), node(std::make_shared<LeafNode>()) {
    node->bind(Tensor::zeros(value.device(), value.shape(), value.dtype()), false);
  }
  Variable variable() const { return Variable(value, node); }
  Tensor value;
  std::shared_ptr<LeafNode> node;
};

/// Slopes of f() by each element of `x` (f64), which is changed in place. f gives a scalar.
inline std::vector<double> slopes(const Tensor& x, const std::function<double()>& f) {
  std::vector<double> out;
  for (std::int64_t i = 0; i < x.elements(); ++i) {
    double& v = x.data<double>()[i];
    const double old = v, h = 1e-5 * std::max(1.0, std::fabs(old));
    v = old + h;
    const double up = f();
    v = old - h;
    const double down = f();
    v = old;
    out.push_back((up - down) / (2 * h));
  }
  return out;
}

}  // namespace chorale
