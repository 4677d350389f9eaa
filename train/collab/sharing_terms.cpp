#include <chorale/train/collab/sharing_terms.hpp>

#include <algorithm>
#include <cmath>

#include <chorale/core/autograd/ops.hpp>

namespace chorale {

namespace {

constexpr double kEpsilon = 1e-4;  // of variances
constexpr std::int64_t kFewestRows = 4;

/// [rows, columns] with f(r, c).
template <class F>
Tensor made(const Variable& like, std::int64_t rows, std::int64_t columns, F f) {
  Tensor t = Tensor::empty(like.value().device(), {rows, columns}, like.dtype());
  with_float_type(t.dtype(), [&]<class T>() {
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = 0; c < columns; ++c) t.data<T>()[r * columns + c] = static_cast<T>(f(r, c));
  });
  return t;
}

Tensor filled(const Variable& like, std::int64_t rows, std::int64_t columns, double value) {
  return made(like, rows, columns, [value](std::int64_t, std::int64_t) { return value; });
}

/// Means of columns over all rows of x [B, d], on every row.
Variable column_means(const Variable& x) {
  const std::int64_t b = x.shape()[0];
  return matmul(Variable(filled(x, b, 1, 1)), matmul(Variable(filled(x, 1, b, 1 / static_cast<double>(b))), x));
}

template <class T>
void soften_row(const T* z, std::int64_t classes, double tau, double* q) {
  if (classes == 1) {
    q[0] = 1 / (1 + std::exp(-static_cast<double>(z[0]) / tau));
    return;
  }
  const double top = static_cast<double>(*std::max_element(z, z + classes)) / tau;
  double all = 0;
  for (std::int64_t c = 0; c < classes; ++c) all += q[c] = std::exp(static_cast<double>(z[c]) / tau - top);
  for (std::int64_t c = 0; c < classes; ++c) q[c] /= all;
}

double divergence(double p, double q) { return p > 0 ? p * std::log(p / std::max(q, 1e-300)) : 0; }

}  // namespace

Tensor softened(const Tensor& z, double tau) {
  const std::int64_t rows = z.rows(), classes = z.row_elements();
  Tensor out = Tensor::empty(z.device(), z.shape(), z.dtype());
  std::vector<double> q(static_cast<std::size_t>(classes));
  with_float_type(z.dtype(), [&]<class T>() {
    for (std::int64_t r = 0; r < rows; ++r) {
      soften_row(z.data<T>() + r * classes, classes, tau, q.data());
      for (std::int64_t c = 0; c < classes; ++c) out.data<T>()[r * classes + c] = static_cast<T>(q[static_cast<std::size_t>(c)]);
    }
  });
  return out;
}

Variable distillation(const Variable& z, const Tensor& p, double tau) {
  const std::int64_t rows = z.value().rows(), classes = z.value().row_elements();
  const Tensor q = softened(z.value(), tau);
  Tensor value = Tensor::empty(q.device(), Shape(), q.dtype());
  with_float_type(q.dtype(), [&]<class T>() {
    double all = 0;
    for (std::int64_t i = 0; i < rows * classes; ++i) {
      const auto pi = static_cast<double>(p.data<T>()[i]), qi = static_cast<double>(q.data<T>()[i]);
      all += divergence(pi, qi) + (classes == 1 ? divergence(1 - pi, 1 - qi) : 0);
    }
    value.data<T>()[0] = static_cast<T>(tau * tau * all / static_cast<double>(rows));
  });
  const std::shared_ptr<Node> node = z.node();
  return make_result(std::move(value), {node}, [=](const Tensor& dy) {
    Tensor dz = Tensor::empty(q.device(), q.shape(), q.dtype());
    with_float_type(q.dtype(), [&]<class T>() {
      const double scale = static_cast<double>(dy.data<T>()[0]) * tau / static_cast<double>(rows);
      for (std::int64_t i = 0; i < rows * classes; ++i)
        dz.data<T>()[i] = static_cast<T>(scale * (static_cast<double>(q.data<T>()[i]) - static_cast<double>(p.data<T>()[i])));
    });
    node->adopt(std::move(dz));
  });
}

Variable pull_to_prototypes(const Variable& e, const Tensor& prototypes, std::span<const float> has) {
  const std::int64_t b = e.shape()[0], d = e.shape()[1];
  const Variable mask(made(e, b, d, [&](std::int64_t r, std::int64_t) { return has[static_cast<std::size_t>(r)]; }));
  const Variable pull = (1 / static_cast<double>(b * d)) * sum(square((e - Variable(prototypes)) * mask));
  if (b < 2) return pull;
  const Variable variance = (static_cast<double>(b) / static_cast<double>(b - 1)) * column_means(square(e - column_means(e)));
  const Variable hinge = relu(affine(sqrt(variance + kEpsilon), -1, 1));
  return pull + (1 / static_cast<double>(b * d)) * sum(hinge);
}

Variable cross_correlation(const Variable& e, const Tensor& r, std::span<const float> has, double off_diagonal) {
  const std::int64_t b = e.shape()[0], d = e.shape()[1];
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < b; ++i)
    if (has[static_cast<std::size_t>(i)] > 0) rows.push_back(i);
  const auto n = static_cast<std::int64_t>(rows.size());
  if (n < kFewestRows) return {};
  // Rows that count, picked by a matrix of zeros and ones.
  const Variable own =
      matmul(Variable(made(e, n, b, [&](std::int64_t i, std::int64_t j) { return rows[static_cast<std::size_t>(i)] == j; })), e);
  const Variable centred = own - column_means(own);
  const Variable standard = centred / sqrt(column_means(square(centred)) + kEpsilon);
  Tensor peer_columns;  // [d, n], standardised, divided by n
  with_float_type(r.dtype(), [&]<class T>() {
    std::vector<double> mean(static_cast<std::size_t>(d)), scale(mean.size());
    for (std::int64_t c = 0; c < d; ++c) {
      double m = 0, s = 0;
      for (const std::int64_t i : rows) m += static_cast<double>(r.data<T>()[i * d + c]) / static_cast<double>(n);
      for (const std::int64_t i : rows) s += std::pow(static_cast<double>(r.data<T>()[i * d + c]) - m, 2) / static_cast<double>(n);
      mean[static_cast<std::size_t>(c)] = m, scale[static_cast<std::size_t>(c)] = 1 / std::sqrt(s + kEpsilon) / static_cast<double>(n);
    }
    peer_columns = made(e, d, n, [&](std::int64_t c, std::int64_t i) {
      const auto at = static_cast<std::size_t>(c);
      return (static_cast<double>(r.data<T>()[rows[static_cast<std::size_t>(i)] * d + c]) - mean[at]) * scale[at];
    });
  });
  const Variable c = matmul(Variable(peer_columns), standard);  // [d, d]
  const Variable identity(made(e, d, d, [](std::int64_t i, std::int64_t j) { return i == j; }));
  const Variable weights(made(e, d, d, [&](std::int64_t i, std::int64_t j) { return i == j ? 1.0 : off_diagonal; }));
  return (1 / static_cast<double>(d)) * sum(square(c - identity) * weights);
}

}  // namespace chorale
