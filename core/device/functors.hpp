// Element-wise mathematics, read by both compilers: forward f(x) and derivative f'(x, y = f(x)), constants a and b.
// An activation or a loss is composed from these and adds no kernel to the seam.
#pragma once
#include <math.h>
#include <stdint.h>

#ifdef __CUDACC__
#define CHORALE_BOTH __host__ __device__ static inline
#define CHORALE_AS_WRITTEN(x) (x)
#else
// A difference that fast-math must not take apart: (1 - t) - t e is not 1 - t (1 + e) when t is 1 and e is small.
#ifdef __clang__
#define CHORALE_AS_WRITTEN(x) __arithmetic_fence(x)
#else
#define CHORALE_AS_WRITTEN(x) __builtin_assoc_barrier(x)
#endif
// Always inlined: a copy that the linker shares between instruction sets could be the one for a newer processor.
#define CHORALE_BOTH static inline __attribute__((always_inline))
#endif

namespace chorale::functors {

CHORALE_BOTH float f_exp(float x) { return expf(x); }
CHORALE_BOTH double f_exp(double x) { return exp(x); }
CHORALE_BOTH float f_log(float x) { return logf(x); }
CHORALE_BOTH double f_log(double x) { return log(x); }
CHORALE_BOTH float f_log1p(float x) { return log1pf(x); }
CHORALE_BOTH double f_log1p(double x) { return log1p(x); }
CHORALE_BOTH float f_expm1(float x) { return expm1f(x); }
CHORALE_BOTH double f_expm1(double x) { return expm1(x); }
CHORALE_BOTH float f_tanh(float x) { return tanhf(x); }
CHORALE_BOTH double f_tanh(double x) { return tanh(x); }
CHORALE_BOTH float f_erf(float x) { return erff(x); }
CHORALE_BOTH double f_erf(double x) { return erf(x); }
CHORALE_BOTH float f_sqrt(float x) { return sqrtf(x); }
CHORALE_BOTH double f_sqrt(double x) { return sqrt(x); }
CHORALE_BOTH float f_abs(float x) { return fabsf(x); }
CHORALE_BOTH double f_abs(double x) { return fabs(x); }

template <class T>
CHORALE_BOTH T f_sigmoid(T x) {  // exp of a negative number only: never overflows
  const T e = f_exp(-f_abs(x));
  return (x >= T(0) ? T(1) : e) / (T(1) + e);
}

// clang-format off
struct Relu       { template <class T> CHORALE_BOTH T f(T x, T, T) { return x < T(0) ? T(0) : x; }  // NaN stays NaN
                    template <class T> CHORALE_BOTH T d(T, T y, T, T) { return y > T(0) ? T(1) : T(0); } };
struct LeakyRelu  { template <class T> CHORALE_BOTH T f(T x, T a, T) { return x > T(0) ? x : a * x; }            // a: slope below 0
                    template <class T> CHORALE_BOTH T d(T x, T, T a, T) { return x > T(0) ? T(1) : a; } };
struct Elu        { template <class T> CHORALE_BOTH T f(T x, T a, T) { return x > T(0) ? x : a * f_expm1(x); }  // Clevert et al. 2015
                    template <class T> CHORALE_BOTH T d(T x, T y, T a, T) { return x > T(0) ? T(1) : y + a; } };
struct Gelu       { template <class T> CHORALE_BOTH T f(T x, T, T) { return T(0.5) * x * (T(1) + f_erf(x * T(0.70710678118654752440))); }  // Hendrycks & Gimpel 2016, exact
                    template <class T> CHORALE_BOTH T d(T x, T, T, T) {
                      return T(0.5) * (T(1) + f_erf(x * T(0.70710678118654752440))) + x * T(0.39894228040143267794) * f_exp(T(-0.5) * x * x); } };
struct Sigmoid    { template <class T> CHORALE_BOTH T f(T x, T, T) { return f_sigmoid(x); }
                    template <class T> CHORALE_BOTH T d(T, T y, T, T) { return y * (T(1) - y); } };
struct Tanh       { template <class T> CHORALE_BOTH T f(T x, T, T) { return f_tanh(x); }
                    template <class T> CHORALE_BOTH T d(T, T y, T, T) { return T(1) - y * y; } };
struct Square     { template <class T> CHORALE_BOTH T f(T x, T, T) { return x * x; }
                    template <class T> CHORALE_BOTH T d(T x, T, T, T) { return T(2) * x; } };
struct Absolute   { template <class T> CHORALE_BOTH T f(T x, T, T) { return f_abs(x); }
                    template <class T> CHORALE_BOTH T d(T x, T, T, T) { return x > T(0) ? T(1) : (x < T(0) ? T(-1) : T(0)); } };
struct Exponential{ template <class T> CHORALE_BOTH T f(T x, T, T) { return f_exp(x); }
                    template <class T> CHORALE_BOTH T d(T, T y, T, T) { return y; } };
struct Logarithm  { template <class T> CHORALE_BOTH T f(T x, T, T) { return f_log(x); }
                    template <class T> CHORALE_BOTH T d(T x, T, T, T) { return T(1) / x; } };
struct SquareRoot { template <class T> CHORALE_BOTH T f(T x, T, T) { return f_sqrt(x); }
                    template <class T> CHORALE_BOTH T d(T, T y, T, T) { return T(0.5) / y; } };
struct Affine     { template <class T> CHORALE_BOTH T f(T x, T a, T b) { return a * x + b; }
                    template <class T> CHORALE_BOTH T d(T, T, T a, T) { return a; } };
struct Clamp      { template <class T> CHORALE_BOTH T f(T x, T a, T b) { return x < a ? a : (x > b ? b : x); }
                    template <class T> CHORALE_BOTH T d(T x, T, T a, T b) { return x < a || x > b ? T(0) : T(1); } };

// Losses: value and derivative by the prediction z, target t.
struct BinaryCrossEntropy {  // on logits: t max(-z, 0) + (1 - t) max(z, 0) + log(1 + exp(-|z|)); no term is negative, so nothing cancels in any order
  // a: label smoothing, by which a target is moved towards 1/2, as PyTorch's multi-class smoothing with two classes has it
  template <class T> CHORALE_BOTH T smooth(T t, T a) { return t + a * (T(0.5) - t); }
  template <class T> CHORALE_BOTH T f(T z, T given, T a) {
    const T t = smooth(given, a);
    return (z < T(0) ? -z * t : z * (T(1) - t)) + f_log1p(f_exp(-f_abs(z))); }
  template <class T> CHORALE_BOTH T d(T z, T given, T a) {  // (1 - t) sigmoid(z) - t sigmoid(-z): a sure answer's small slope keeps its digits
    const T t = smooth(given, a), e = f_exp(-f_abs(z));
    const T u = CHORALE_AS_WRITTEN(T(1) - t), left = CHORALE_AS_WRITTEN(z < T(0) ? u * e : u), right = CHORALE_AS_WRITTEN(z < T(0) ? t : t * e);
    return (left - right) / (T(1) + e); } };
struct BinaryFocal {  // Lin et al., Focal loss for dense object detection, 2017; a: gamma, 0 is binary cross-entropy. s1 = -log(1 - p), s0 = -log p
  template <class T> CHORALE_BOTH T f(T z, T t, T a) {
    const T l = f_log1p(f_exp(-f_abs(z))), s1 = (z > T(0) ? z : T(0)) + l, s0 = (z < T(0) ? -z : T(0)) + l;
    return t * f_exp(-a * s1) * s0 + (T(1) - t) * f_exp(-a * s0) * s1; }
  template <class T> CHORALE_BOTH T d(T z, T t, T a) {
    const T l = f_log1p(f_exp(-f_abs(z))), s1 = (z > T(0) ? z : T(0)) + l, s0 = (z < T(0) ? -z : T(0)) + l;
    const T p = f_sigmoid(z), q = f_sigmoid(-z);
    return (T(1) - t) * f_exp(-a * s0) * (a * q * s1 + p) - t * f_exp(-a * s1) * (a * p * s0 + q); } };
struct Pinball       { template <class T> CHORALE_BOTH T f(T z, T t, T a) { return z < t ? a * (t - z) : (T(1) - a) * (z - t); }  // a: the quantile; Koenker & Bassett 1978
                       template <class T> CHORALE_BOTH T d(T z, T t, T a) { return z < t ? -a : (z > t ? T(1) - a : T(0)); } };
struct Poisson       { template <class T> CHORALE_BOTH T f(T z, T t, T) { return f_exp(z) - t * z; }  // negative log-likelihood of counts without log(t!), z: log of the rate
                       template <class T> CHORALE_BOTH T d(T z, T t, T) { return f_exp(z) - t; } };
struct Tweedie {  // half of its deviance without the terms of t alone, z: log of the mean; a: the power of its variance, in (1, 2). Jorgensen 1987
  template <class T> CHORALE_BOTH T f(T z, T t, T a) { return t * f_exp((T(1) - a) * z) / (a - T(1)) + f_exp((T(2) - a) * z) / (T(2) - a); }
  template <class T> CHORALE_BOTH T d(T z, T t, T a) { return f_exp((T(2) - a) * z) - t * f_exp((T(1) - a) * z); } };
struct SquaredError  { template <class T> CHORALE_BOTH T f(T z, T t, T) { return (z - t) * (z - t); }
                       template <class T> CHORALE_BOTH T d(T z, T t, T) { return T(2) * (z - t); } };
struct AbsoluteError { template <class T> CHORALE_BOTH T f(T z, T t, T) { return f_abs(z - t); }
                       template <class T> CHORALE_BOTH T d(T z, T t, T) { return z > t ? T(1) : (z < t ? T(-1) : T(0)); } };
struct Huber         { template <class T> CHORALE_BOTH T f(T z, T t, T a) { const T e = f_abs(z - t); return e <= a ? T(0.5) * e * e : a * (e - T(0.5) * a); }
                       template <class T> CHORALE_BOTH T d(T z, T t, T a) { const T e = z - t; return e > a ? a : (e < -a ? -a : e); } };
// clang-format on

}  // namespace chorale::functors
