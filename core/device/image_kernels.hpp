// Parameter structs of convolutions and pooling.
// As in kernels.hpp: plain pointers and sizes, no std types.
#pragma once
#include <stdint.h>

namespace chorale {

/// A convolution's extents. Images lie channels-last, [images, height, width, channels]; weights as PyTorch stores them,
/// [out, in / groups, kernel_h, kernel_w].
struct ConvExtents {
  int64_t images, height, width, in;
  int64_t out_height, out_width, out;
  int64_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups;
};
/// y = w * x + bias (null: none), cross-correlation as PyTorch means it.
template <class T>
struct Convolution {
  ConvExtents e;
  const T* x;
  const T* w;
  const T* bias;
  T* y;
};
/// dx = the gradient by x, written over what is there.
template <class T>
struct ConvolutionDataGradient {
  ConvExtents e;
  const T* dy;
  const T* w;
  T* dx;
};
/// dw and db = the gradients by w and bias (null: not wanted), or added to them.
template <class T>
struct ConvolutionWeightGradient {
  ConvExtents e;
  const T* x;
  const T* dy;
  T* dw;
  T* db;
  bool accumulate;
};

/// Windows over images that lie channels-last. The extents of windows and steps are fixed, or where `is_adaptive` follow from those of the
/// result: window i spans [floor(i n / out), ceil((i + 1) n / out)).
struct PoolExtents {
  int64_t images, height, width, channels;
  int64_t out_height, out_width;
  int64_t window_h, window_w, stride_h, stride_w, pad_h, pad_w;
  bool is_adaptive;
  bool counts_padding;  // averages divide by the whole window
};
/// y = the greatest of each window, NaN included; at = where it lies in its image, height * width + width (null: nobody asks).
template <class T>
struct MaxPool {
  PoolExtents e;
  const T* x;
  T* y;
  int32_t* at;
};
/// dx [images, height, width, channels] = dy where it came from, 0 elsewhere.
template <class T>
struct MaxPoolGradient {
  PoolExtents e;
  const T* dy;
  const int32_t* at;
  T* dx;
};
template <class T>
struct AveragePool {
  PoolExtents e;
  const T* x;
  T* y;
};
template <class T>
struct AveragePoolGradient {
  PoolExtents e;
  const T* dy;
  T* dx;
};

}  // namespace chorale
