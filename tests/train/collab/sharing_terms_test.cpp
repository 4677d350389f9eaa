// Terms by which strategies pull: their values against what is written down here, their gradients against differences.
#include <catch2/catch.hpp>

#include <cmath>
#include <functional>

#include <chorale/core/autograd/ops.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/train/collab/affinity.hpp>
#include <chorale/train/collab/sharing_terms.hpp>

using namespace chorale;

namespace {

Tensor drawn(Device& device, std::int64_t rows, std::int64_t columns, std::uint64_t seed) {
  Tensor t = Tensor::empty(device, {rows, columns}, DType::f64);
  RandomStream random(seed);
  for (std::int64_t i = 0; i < t.elements(); ++i) t.data<double>()[i] = random.normal();
  return t;
}

double value_of(const Variable& v) { return v.value().data<double>()[0]; }

/// Central differences of f at x against what backward leaves there, to 1e-6 of the largest.
void check_gradient(const Tensor& x, const std::function<Variable(const Variable&)>& f) {
  const auto leaf = std::make_shared<LeafNode>();
  Tensor gradient = Tensor::zeros(x.device(), x.shape(), DType::f64);
  leaf->bind(gradient, false);
  backward(f(Variable(x, leaf)));
  double largest = 0;
  for (std::int64_t i = 0; i < x.elements(); ++i) largest = std::max(largest, std::fabs(gradient.data<double>()[i]));
  CHECK(largest > 1e-4);
  for (std::int64_t i = 0; i < x.elements(); ++i) {
    double& at = x.data<double>()[i];
    const double here = at, h = 1e-5;
    at = here + h;
    const double up = value_of(f(Variable(x)));
    at = here - h;
    const double down = value_of(f(Variable(x)));
    at = here;
    CAPTURE(i);
    CHECK(gradient.data<double>()[i] == Approx((up - down) / (2 * h)).margin(1e-6 * std::max(1.0, largest)));
  }
}

}  // namespace

TEST_CASE("distillation is the divergence from the peers' softened predictions, for classes and for yes or no") {
  const auto device = make_cpu_device();
  for (const std::int64_t classes : {1, 4}) {
    const Tensor z = drawn(*device, 5, classes, 1), peers = drawn(*device, 5, classes, 2);
    const Tensor p = softened(peers, 2);
    CHECK(value_of(distillation(Variable(peers), p, 2)) == Approx(0).margin(1e-12));
    double expected = 0;
    for (std::int64_t r = 0; r < 5; ++r) {
      std::vector<double> a, b;  // both classes of a yes or no, or all
      const auto soft = [&](const Tensor& from, std::vector<double>& to) {
        double all = 0;
        for (std::int64_t c = 0; c < classes; ++c) to.push_back(std::exp(from.data<double>()[r * classes + c] / 2));
        if (classes == 1) to.push_back(1);
        for (const double each : to) all += each;
        for (double& each : to) each /= all;
      };
      soft(peers, a), soft(z, b);
      for (std::size_t c = 0; c < a.size(); ++c) expected += 4 * a[c] * std::log(a[c] / b[c]) / 5;
    }
    CHECK(value_of(distillation(Variable(z), p, 2)) == Approx(expected));
    check_gradient(z, [&](const Variable& x) { return distillation(x, p, 2); });
  }
}

TEST_CASE("vectors are pulled to the prototypes of rows that have one, and apart where they fall together") {
  const auto device = make_cpu_device();
  const Tensor e = drawn(*device, 6, 3, 3), to = drawn(*device, 6, 3, 4);
  const std::vector<float> has = {1, 0, 1, 1, 0, 1}, none(6, 0.0f), all(6, 1.0f);
  check_gradient(e, [&](const Variable& x) { return pull_to_prototypes(x, to, has); });
  Tensor wide = drawn(*device, 6, 3, 3);
  for (std::int64_t i = 0; i < wide.elements(); ++i) wide.data<double>()[i] *= 10;
  CHECK(value_of(pull_to_prototypes(Variable(wide), wide, all)) == Approx(0).margin(1e-12));
  const Tensor same = Tensor::zeros(*device, {6, 3}, DType::f64);
  CHECK(value_of(pull_to_prototypes(Variable(same), to, none)) == Approx(1 - std::sqrt(1e-4)));
  Tensor moved = drawn(*device, 6, 3, 3);
  for (std::int64_t j = 0; j < 3; ++j) moved.data<double>()[3 + j] += 5, moved.data<double>()[12 + j] -= 5;  // rows 1 and 4 have none
  const double hinge = value_of(pull_to_prototypes(Variable(moved), to, none));
  double pull = 0;
  for (const std::int64_t r : {0, 2, 3, 5})
    for (std::int64_t j = 0; j < 3; ++j) pull += std::pow(moved.data<double>()[3 * r + j] - to.data<double>()[3 * r + j], 2) / 18;
  CHECK(value_of(pull_to_prototypes(Variable(moved), to, has)) - hinge == Approx(pull));
}

TEST_CASE("own vectors that are those of the peer, whatever scale and place, have nothing to gain in correlation") {
  const auto device = make_cpu_device();
  const Tensor r = drawn(*device, 40, 3, 5);
  Tensor e = drawn(*device, 40, 3, 5);
  for (std::int64_t i = 0; i < e.elements(); ++i) e.data<double>()[i] = 7 * e.data<double>()[i] - 2;
  const std::vector<float> all(40, 1.0f);
  CHECK(value_of(cross_correlation(Variable(e), r, all, 0)) < 1e-6);
  CHECK(value_of(cross_correlation(Variable(drawn(*device, 40, 3, 6)), r, all, 0)) > 0.5);
  const Tensor x = drawn(*device, 7, 3, 7), peer = drawn(*device, 7, 3, 8);
  const std::vector<float> some = {1, 1, 0, 1, 1, 0, 1}, few = {1, 0, 0, 1, 1, 0, 0};
  check_gradient(x, [&](const Variable& v) { return cross_correlation(v, peer, some, 0.1); });
  const double before = value_of(cross_correlation(Variable(x), peer, some, 0.1));
  x.data<double>()[6] += 3;  // a row that the peer does not know
  CHECK(value_of(cross_correlation(Variable(x), peer, some, 0.1)) == Approx(before));
  CHECK_FALSE(cross_correlation(Variable(x), peer, few, 0.1).value().defined());
}

TEST_CASE("affinity is 1 for a turned and scaled copy, small for what has nothing in common, and 0 for constants") {
  constexpr std::int64_t n = 256;
  const auto linear_cka = [](const std::vector<float>& a, const std::vector<float>& b, std::int64_t rows) {
    return dependence(a, b, rows).cka();
  };
  RandomStream random(9);
  std::vector<float> x, turned, other, constant(2 * n, 3.0f);
  for (std::int64_t i = 0; i < n; ++i) {
    const double a = random.normal(), b = random.normal();
    x.push_back(static_cast<float>(a)), x.push_back(static_cast<float>(b));
    turned.push_back(static_cast<float>(3 * (0.6 * a - 0.8 * b) + 1)), turned.push_back(static_cast<float>(3 * (0.8 * a + 0.6 * b)));
    for (int j = 0; j < 3; ++j) other.push_back(static_cast<float>(random.normal()));
  }
  CHECK(linear_cka(x, turned, n) == Approx(1).margin(1e-6));
  CHECK(linear_cka(x, other, n) < 0.1);
  CHECK(linear_cka(x, other, n) == Approx(linear_cka(other, x, n)));
  CHECK(linear_cka(x, constant, n) == 0);
  const auto with_more_columns = [&](const std::vector<float>& of,
                                     std::int64_t more) {  // that do not vary: another way there, the same number
    const auto columns = static_cast<std::int64_t>(of.size()) / n;
    std::vector<float> out;
    for (std::int64_t i = 0; i < n; ++i) {
      out.insert(out.end(), of.begin() + i * columns, of.begin() + (i + 1) * columns);
      out.resize(out.size() + static_cast<std::size_t>(more), 5.0f);
    }
    return out;
  };
  for (const std::int64_t more : {n, 2 * n})
    CHECK(linear_cka(with_more_columns(x, more), with_more_columns(other, more), n) == Approx(linear_cka(x, other, n)).epsilon(1e-9));
  CHECK(linear_cka(with_more_columns(x, n), with_more_columns(constant, n), n) == 0);
}

TEST_CASE("few rows do not make what has nothing in common look alike, and batches of them add up") {
  constexpr std::int64_t n = 32, p = 64;
  RandomStream random(10);
  Dependence none, half;
  for (int batch = 0; batch < 8; ++batch) {
    std::vector<float> x, y, mixed;
    for (std::int64_t i = 0; i < n * p; ++i) {
      x.push_back(static_cast<float>(random.normal())), y.push_back(static_cast<float>(random.normal()));
      mixed.push_back(x.back() + y.back());
    }
    none += dependence(x, y, n), half += dependence(x, mixed, n);
  }
  CHECK(none.cka() < 0.1);
  CHECK(half.cka() == Approx(0.5).margin(0.1));
}
