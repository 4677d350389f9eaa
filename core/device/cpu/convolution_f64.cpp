// The plain f64 convolution: each image unfolded to rows of what one result reads, then a product. Source: Chellapilla, Puri & Simard,
// "High Performance Convolutional Neural Networks for Document Processing", IWFHR 2006.
#include <Eigen/Core>

#include <algorithm>

#include <chorale/core/device/cpu/convolution.hpp>

namespace chorale {

namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Strided = Eigen::Map<Matrix, 0, Eigen::OuterStride<>>;
using StridedRead = Eigen::Map<const Matrix, 0, Eigen::OuterStride<>>;
using Read = Eigen::Map<const Matrix>;

std::int64_t places(const ConvExtents& e) { return e.out_height * e.out_width; }
std::int64_t reads(const ConvExtents& e) { return e.in / e.groups * e.kernel_h * e.kernel_w; }

/// f(element of the unfolded image, element of the image) for each that lies in the image. Columns in the order of the weights.
template <class F>
void each_read(const ConvExtents& e, std::int64_t group, F f) {
  const std::int64_t in = e.in / e.groups, cols = reads(e);
  for (std::int64_t i = 0; i < e.out_height; ++i)
    for (std::int64_t j = 0; j < e.out_width; ++j)
      for (std::int64_t u = 0; u < e.kernel_h; ++u)
        for (std::int64_t v = 0; v < e.kernel_w; ++v) {
          const std::int64_t r = i * e.stride_h - e.pad_h + u * e.dilation_h, c = j * e.stride_w - e.pad_w + v * e.dilation_w;
          if (r < 0 || r >= e.height || c < 0 || c >= e.width) continue;
          for (std::int64_t k = 0; k < in; ++k)
            f((i * e.out_width + j) * cols + (k * e.kernel_h + u) * e.kernel_w + v, (r * e.width + c) * e.in + group * in + k);
        }
}

Matrix unfolded(const ConvExtents& e, const double* image, std::int64_t group) {
  Matrix m = Matrix::Zero(places(e), reads(e));
  each_read(e, group, [&](std::int64_t to, std::int64_t from) { m.data()[to] = image[from]; });
  return m;
}

/// f(image, group, weights of the group, its channels of the result of the image).
template <class F>
void each_group(const ConvExtents& e, F f) {
  const std::int64_t out = e.out / e.groups;
  for (std::int64_t n = 0; n < e.images; ++n)
    for (std::int64_t g = 0; g < e.groups; ++g) f(n, g, g * out * reads(e), n * places(e) * e.out + g * out);
}

}  // namespace

void convolve_plainly(const Convolution<double>& p) {
  const ConvExtents& e = p.e;
  const std::int64_t out = e.out / e.groups;
  each_group(e, [&](std::int64_t n, std::int64_t g, std::int64_t w, std::int64_t y) {
    Strided result(p.y + y, places(e), out, Eigen::OuterStride<>(e.out));
    result.noalias() = unfolded(e, p.x + n * e.height * e.width * e.in, g) * Read(p.w + w, out, reads(e)).transpose();
    if (p.bias) result.rowwise() += Eigen::Map<const Eigen::RowVectorXd>(p.bias + g * out, out);
  });
}

void convolve_plainly(const ConvolutionDataGradient<double>& p) {
  const ConvExtents& e = p.e;
  const std::int64_t out = e.out / e.groups, image = e.height * e.width * e.in;
  std::fill_n(p.dx, e.images * image, 0.0);
  each_group(e, [&](std::int64_t n, std::int64_t g, std::int64_t w, std::int64_t y) {
    const StridedRead dy(p.dy + y, places(e), out, Eigen::OuterStride<>(e.out));
    const Matrix folded = dy * Read(p.w + w, out, reads(e));
    double* dx = p.dx + n * image;
    each_read(e, g, [&](std::int64_t from, std::int64_t to) { dx[to] += folded.data()[from]; });
  });
}

void convolve_plainly(const ConvolutionWeightGradient<double>& p) {
  const ConvExtents& e = p.e;
  const std::int64_t out = e.out / e.groups;
  if (!p.accumulate) {
    std::fill_n(p.dw, e.out * reads(e), 0.0);
    if (p.db) std::fill_n(p.db, e.out, 0.0);
  }
  each_group(e, [&](std::int64_t n, std::int64_t g, std::int64_t w, std::int64_t y) {
    const StridedRead dy(p.dy + y, places(e), out, Eigen::OuterStride<>(e.out));
    Eigen::Map<Matrix>(p.dw + w, out, reads(e)).noalias() += dy.transpose() * unfolded(e, p.x + n * e.height * e.width * e.in, g);
    if (p.db) Eigen::Map<Eigen::RowVectorXd>(p.db + g * out, out) += dy.colwise().sum();
  });
}

}  // namespace chorale
