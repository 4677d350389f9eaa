// The kernels of every instruction set that this processor has: f32 against the plain f64 path, where oneDNN, OpenBLAS and our own loops
// take over from each other; NaN; masks. Shapes are odd, around the width of vectors, and large.
#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

#include <chorale/core/base/random.hpp>
#include <chorale/tests/contracts/differences.hpp>

using namespace chorale;

namespace {

/// One device an instruction set, the narrowest first.
std::vector<std::unique_ptr<Device>> devices() {
  std::vector<std::unique_ptr<Device>> out;
  for (int level = 0; level <= best_cpu_isa(); ++level) out.push_back(make_cpu_device({.isa = cpu_isa_name(level)}));
  return out;
}

struct Product {
  std::int64_t m, n, k;
};

/// c = op(a) op(b) (+ c) (+ bias) from the same numbers in both types.
double product_error(Device& device, Product s, bool ta, bool tb, bool accumulate, bool with_bias) {
  const auto run = [&]<class T>(T) {
    const DType dtype = dtype_of<T>;
    const Tensor a = random_tensor(device, {s.m, s.k}, dtype, 1), b = random_tensor(device, {s.k, s.n}, dtype, 2),
                 c = random_tensor(device, {s.m, s.n}, dtype, 3), bias = random_tensor(device, {s.n}, dtype, 4);
    device.gemm(Gemm<T>{.a = a.data<T>(),
                        .b = b.data<T>(),
                        .c = c.data<T>(),
                        .m = s.m,
                        .n = s.n,
                        .k = s.k,
                        .a_transposed = ta,
                        .b_transposed = tb,
                        .accumulate = accumulate,
                        .bias = with_bias ? bias.data<T>() : nullptr});
    return doubles(c);
  };
  return relative_error(run(float{}), run(double{}));
}

}  // namespace

TEST_CASE("matrix products in f32 agree with f64 on every path and instruction set") {
  for (const auto& device : devices()) {
    for (const Product s : {Product{1, 1, 1},
                            {3, 1, 7},
                            {1, 5, 33},
                            {17, 31, 3},
                            {32, 64, 100},
                            {33, 101, 65},
                            {129, 127, 64},
                            {65, 130, 257},
                            {128, 10, 512},
                            {7, 3, 1},
                            {2, 1, 1000},
                            {5, 4, 0}}) {
      for (int flags = 0; flags < 16; ++flags) {
        CAPTURE(device->text(), s.m, s.n, s.k, flags);
        CHECK(product_error(*device, s, flags & 1, flags & 2, flags & 4, flags & 8) <= 1e-5);
      }
    }
  }
}

TEST_CASE("element-wise functions in f32 agree with f64 for large and for tiny arguments") {
  for (const auto& device : devices()) {
    for (const Unary f : {Unary::relu, Unary::leaky_relu, Unary::elu, Unary::gelu, Unary::sigmoid, Unary::tanh, Unary::square,
                          Unary::absolute, Unary::exponential, Unary::affine, Unary::clamp}) {
      for (const double scale : {1e-4, 1.0, 20.0}) {
        for (const std::int64_t n : {1, 3, 15, 16, 17, 1003}) {
          CAPTURE(device->text(), static_cast<int>(f), scale, n);
          const auto run = [&]<class T>(T) {
            const Tensor x = Tensor::empty(*device, {n}, dtype_of<T>), y = Tensor::empty(*device, {n}, dtype_of<T>);
            RandomStream random(5);
            for (std::int64_t i = 0; i < n; ++i) x.data<T>()[i] = static_cast<T>(static_cast<float>(scale * random.normal()));
            device->typed<T>().unary(f, {.x = x.data<T>(), .y = y.data<T>(), .n = n, .a = T(0.25), .b = T(0.5)});
            std::vector<double> out = doubles(y);
            device->typed<T>().unary_gradient(
                f, {.x = x.data<T>(), .y = y.data<T>(), .dy = x.data<T>(), .dx = y.data<T>(), .n = n, .a = T(0.25), .b = T(0.5)});
            return std::pair(out, doubles(y));
          };
          const auto narrow = run(float{}), wide = run(double{});
          CHECK(relative_error(narrow.first, wide.first) <= 1e-5);
          if ((f == Unary::sigmoid || f == Unary::tanh) && scale > 1) continue;  // saturated: y carries no digits of 1 - y, as in PyTorch
          CHECK(relative_error(narrow.second, wide.second) <= 1e-5);
        }
      }
    }
  }
}

TEST_CASE("cross-entropy and softmax in f32 agree with f64 for logits far from 0 and for sure answers") {
  for (const auto& device : devices()) {
    for (const double offset : {0.0, 1000.0, -30000.0}) {
      for (const double scale : {1.0, 12.0}) {
        for (const std::int64_t cols : {2, 5, 16, 33}) {
          CAPTURE(device->text(), offset, scale, cols);
          const std::int64_t rows = 19;
          const auto run = [&]<class T>(T) {
            std::vector<T> z, target, loss(rows), used(rows), dz(static_cast<std::size_t>(rows * cols)), y(dz.size());
            RandomStream random(6);
            for (std::int64_t i = 0; i < rows * cols; ++i)
              z.push_back(static_cast<T>(static_cast<float>(offset + std::round(64 * scale * random.normal()) / 64)));
            for (std::int64_t r = 0; r < rows; ++r) {  // mostly the likeliest class: the loss is then a small difference
              const auto row = z.begin() + r * cols;
              target.push_back(r % 4 ? static_cast<T>(std::max_element(row, row + cols) - row) : static_cast<T>(r % cols));
            }
            device->typed<T>().cross_entropy({.z = z.data(),
                                              .target = target.data(),
                                              .weight = nullptr,
                                              .class_weight = nullptr,
                                              .row_loss = loss.data(),
                                              .weight_used = used.data(),
                                              .dz = dz.data(),
                                              .rows = rows,
                                              .cols = cols});
            device->typed<T>().softmax({.x = z.data(), .y = y.data(), .rows = rows, .cols = cols});
            // The rows of the likeliest class alone, which the others would hide.
            std::vector<double> sure, sure_slopes;
            for (std::size_t r = 0; r < loss.size(); ++r) {
              if (r % 4 == 0) continue;
              sure.push_back(static_cast<double>(loss[r]));
              for (std::int64_t c = 0; c < cols; ++c)
                sure_slopes.push_back(static_cast<double>(dz[r * static_cast<std::size_t>(cols) + static_cast<std::size_t>(c)]));
            }
            return std::array<std::vector<double>, 5>{
                sure_slopes, std::vector<double>(loss.begin(), loss.end()), sure, {dz.begin(), dz.end()}, {y.begin(), y.end()}};
          };
          const auto narrow = run(float{}), wide = run(double{});
          for (std::size_t i = 0; i < narrow.size(); ++i) {
            CAPTURE(i);
            CHECK(relative_error(narrow[i], wide[i]) <= 1e-5);
          }
        }
      }
    }
  }
}

TEST_CASE("one sure answer's loss and slope in f32 have the digits of f64") {
  for (const auto& device : devices()) {
    for (const float z : {0.5f, 4.0f, 9.0f, 17.0f, 60.0f}) {
      CAPTURE(device->text(), z);
      const auto run = [&]<class T>(T) {
        std::vector<double> out;
        for (const float sign : {1.0f, -1.0f}) {
          const T logit = static_cast<T>(sign * z), logits[] = {logit, T(0), T(-1)}, right = sign > 0 ? T(1) : T(0),
                  first = sign > 0 ? T(0) : T(1);
          T loss, used, slopes[3];
          device->typed<T>().pointwise_loss(Pointwise::binary_cross_entropy, {.z = &logit,
                                                                              .target = &right,
                                                                              .weight = nullptr,
                                                                              .class_weight = nullptr,
                                                                              .row_loss = &loss,
                                                                              .weight_used = &used,
                                                                              .dz = slopes,
                                                                              .rows = 1,
                                                                              .cols = 1});
          out.insert(out.end(), {static_cast<double>(loss), static_cast<double>(slopes[0])});
          device->typed<T>().cross_entropy({.z = logits,
                                            .target = &first,
                                            .weight = nullptr,
                                            .class_weight = nullptr,
                                            .row_loss = &loss,
                                            .weight_used = &used,
                                            .dz = slopes,
                                            .rows = 1,
                                            .cols = 3});
          out.push_back(static_cast<double>(loss));
          for (const T slope : slopes) out.push_back(static_cast<double>(slope));
        }
        return out;
      };
      const auto narrow = run(float{}), wide = run(double{});
      for (std::size_t i = 0; i < wide.size(); ++i) CHECK(narrow[i] == Approx(wide[i]).epsilon(1e-6).margin(1e-38));
    }
  }
}

TEST_CASE("a NaN is found wherever it lies and spoils the loss of its row alone") {
  for (const auto& device : devices()) {
    CAPTURE(device->text());
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (const std::size_t n : {1u, 15u, 16u, 17u, 4095u, 4097u, 9000u})
      for (const std::size_t at : {std::size_t{0}, n / 2, n - 1})
        for (const float bad : {nan, std::numeric_limits<float>::infinity()}) {
          std::vector<float> x(n, 1e30f);
          CHECK(device->typed<float>().first_not_finite(x.data(), static_cast<std::int64_t>(n)) == -1);
          x[at] = bad;
          CHECK(device->typed<float>().first_not_finite(x.data(), static_cast<std::int64_t>(n)) == static_cast<std::int64_t>(at));
        }
    const std::int64_t rows = 37;
    for (int op = 0; op < 5; ++op) {
      CAPTURE(op);
      const std::int64_t cols = op == 4 ? 3 : 1;
      std::vector<float> z(static_cast<std::size_t>(rows * cols), 0.5f), target(rows, 1.0f), loss(rows), used(rows), dz(z.size());
      z[static_cast<std::size_t>(20 * cols)] = nan;
      const RowLoss<float> p{.z = z.data(),
                             .target = target.data(),
                             .weight = nullptr,
                             .class_weight = nullptr,
                             .row_loss = loss.data(),
                             .weight_used = used.data(),
                             .dz = dz.data(),
                             .rows = rows,
                             .cols = cols};
      op == 4 ? device->typed<float>().cross_entropy(p) : device->typed<float>().pointwise_loss(static_cast<Pointwise>(op), p);
      for (std::size_t r = 0; r < loss.size(); ++r) CHECK(std::isnan(loss[r]) == (r == 20));
    }
  }
}

TEST_CASE("dropout draws the generator's numbers on every instruction set, wherever a share begins") {
  for (const auto& device : devices()) {
    for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{3}, std::uint64_t{1} << 34}) {
      CAPTURE(device->text(), first);
      std::vector<float> x(333, 1.0f), y(333);
      device->typed<float>().dropout({.x = x.data(), .y = y.data(), .n = 333, .key = 77, .first = first, .p = 0.3f});
      for (std::uint64_t i = 0; i < 333; ++i) {
        const std::uint32_t bits = philox(77, (first + i) / 4, 0)[(first + i) % 4];
        CHECK(y[i] == Approx(uniform_f32(bits) >= 0.3f ? 1 / 0.7f : 0.0f));
      }
    }
  }
}

TEST_CASE("moments of what gets no gradient any more shrink to 0, and never stay at numbers that are slow") {
  constexpr std::int64_t n = 37;
  for (const auto& device : devices()) {
    const TypedKernels<float>& kernels = device->typed<float>();
    for (const UpdateKernel<float> rule : {kernels.adam, kernels.sgd, kernels.rmsprop, kernels.nadam, kernels.lion}) {
      CAPTURE(device->text());
      std::vector<float> p(n, 1.0f), g(n, 0.0f), s0(n, 2e-38f), s1(n, 2e-38f);  // the smallest normal number is 1.18e-38
      for (int step = 0; step < 20; ++step) {
        rule({.lr = 0.1, .momentum = 0.9, .beta1 = 0.9, .beta2 = 0.9, .eps = 1e-8},
             {.p = p.data(), .g = g.data(), .s0 = s0.data(), .s1 = s1.data(), .n = n});
        for (std::int64_t i = 0; i < n; ++i) {
          REQUIRE(std::fpclassify(s0[static_cast<std::size_t>(i)]) != FP_SUBNORMAL);
          REQUIRE(std::fpclassify(s1[static_cast<std::size_t>(i)]) != FP_SUBNORMAL);
        }
      }
      CHECK(s0 == std::vector<float>(n, 0.0f));
    }
  }
  volatile float least = std::numeric_limits<float>::denorm_min();
  CHECK(2 * least > 0);  // elsewhere they are numbers as ever
}
