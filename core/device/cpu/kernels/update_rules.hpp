// The update rules over one block, as loops; update.cpp makes kernels of them. Sources: Adam and AdaMax, Kingma & Ba 2015 with PyTorch's
// placing of eps; decoupled decay, Loshchilov & Hutter 2019; Nesterov momentum, Sutskever et al. 2013; RMSProp, Hinton 2012; Adagrad,
// Duchi et al. 2011; NAdam, Dozat 2016; Lion, Chen et al. 2023; LAMB, You et al. 2020.
#pragma once
#include <chorale/core/device/cpu/kernels/isa.hpp>
#include <chorale/core/device/functors.hpp>

namespace chorale::CHORALE_ISA {

namespace {

using functors::f_abs;
using functors::f_sqrt;

/// Constants in the element type, once a block.
template <class T>
struct Constants {
  T lr, momentum, undamped, beta1, beta2, eps, l2, decoupled, keep, scale, clip, correction, c1, c2, cg;
  bool clipped, nesterov, first;
  explicit Constants(const UpdateScalars& s)
      : lr(static_cast<T>(s.lr)),
        momentum(static_cast<T>(s.momentum)),
        undamped(static_cast<T>(1 - s.dampening)),
        beta1(static_cast<T>(s.beta1)),
        beta2(static_cast<T>(s.beta2)),
        eps(static_cast<T>(s.eps)),
        l2(static_cast<T>(s.l2)),
        decoupled(static_cast<T>(s.decoupled)),
        keep(static_cast<T>(1 - s.lr * s.decoupled)),
        scale(static_cast<T>(s.grad_scale)),
        clip(static_cast<T>(s.clip_value)),
        correction(static_cast<T>(s.correction1)),
        c1(static_cast<T>(s.lr * s.correction1)),
        c2(static_cast<T>(s.correction2)),
        cg(static_cast<T>(s.lr * s.correction_g)),
        clipped(s.clip_value > 0),
        nesterov(s.nesterov),
        first(s.first_step) {}
};

/// The gradient as the rule sees it: scaled, clipped, with L2.
template <bool kClip, class T>
inline T gradient_of(const Constants<T>& k, T g, T p) {
  g = g * k.scale;
  if (kClip) g = g > k.clip ? k.clip : (g < -k.clip ? -k.clip : g);
  return g + k.l2 * p;
}

template <bool kClip, class T>
void sgd(const Constants<T>& k, const Update<T>& u) {
  T* __restrict p = u.p, * __restrict m = u.s0;
  const T* __restrict g = u.g;
  if (!m) {
    for (int64_t i = 0; i < u.n; ++i) p[i] = p[i] * k.keep - k.lr * gradient_of<kClip>(k, g[i], p[i]);
    return;
  }
  const T decay = k.first ? T(0) : k.momentum, input = k.first ? T(1) : k.undamped;  // torch: the first buffer is the gradient itself
  const T look = k.nesterov ? T(1) : T(0), along = k.nesterov ? k.momentum : T(1);
  for (int64_t i = 0; i < u.n; ++i) {
    const T d = gradient_of<kClip>(k, g[i], p[i]);
    m[i] = decay * m[i] + input * d;
    p[i] = p[i] * k.keep - k.lr * (look * d + along * m[i]);
  }
}

template <bool kClip, class T>
void adam(const Constants<T>& k, const Update<T>& u) {
  T* __restrict p = u.p, * __restrict m = u.s0, * __restrict v = u.s1;
  const T* __restrict g = u.g;
  const T a = T(1) - k.beta1, b = T(1) - k.beta2, root = f_sqrt(k.c2);
  for (int64_t i = 0; i < u.n; ++i) {
    const T d = gradient_of<kClip>(k, g[i], p[i]);
    m[i] = k.beta1 * m[i] + a * d;
    v[i] = k.beta2 * v[i] + b * d * d;
    p[i] = p[i] * k.keep - k.c1 * m[i] / (f_sqrt(v[i]) * root + k.eps);
  }
}

template <bool kClip, class T>
void rmsprop(const Constants<T>& k, const Update<T>& u) {  // beta2: smoothing; momentum in s1 when there is any
  T* __restrict p = u.p, * __restrict v = u.s0, * __restrict m = u.s1;
  const T* __restrict g = u.g;
  const T b = T(1) - k.beta2;
  for (int64_t i = 0; i < u.n; ++i) {
    const T d = gradient_of<kClip>(k, g[i], p[i]);
    v[i] = k.beta2 * v[i] + b * d * d;
    T step = d / (f_sqrt(v[i]) + k.eps);
    if (m) step = m[i] = k.momentum * m[i] + step;
    p[i] = p[i] * k.keep - k.lr * step;
  }
}

template <bool kClip, class T>
void adagrad(const Constants<T>& k, const Update<T>& u) {
  T* __restrict p = u.p, * __restrict v = u.s0;
  const T* __restrict g = u.g;
  for (int64_t i = 0; i < u.n; ++i) {
    const T d = gradient_of<kClip>(k, g[i], p[i]);
    v[i] = v[i] + d * d;
    p[i] = p[i] * k.keep - k.lr * d / (f_sqrt(v[i]) + k.eps);
  }
}

template <bool kClip, class T>
void adamax(const Constants<T>& k, const Update<T>& u) {
  T* __restrict p = u.p, * __restrict m = u.s0, * __restrict v = u.s1;
  const T* __restrict g = u.g;
  const T a = T(1) - k.beta1;
  for (int64_t i = 0; i < u.n; ++i) {
    const T d = gradient_of<kClip>(k, g[i], p[i]);
    m[i] = k.beta1 * m[i] + a * d;
    const T old = k.beta2 * v[i], now = f_abs(d) + k.eps;
    v[i] = old > now ? old : now;
    p[i] = p[i] * k.keep - k.c1 * m[i] / v[i];
  }
}

template <bool kClip, class T>
void nadam(const Constants<T>& k, const Update<T>& u) {
  T* __restrict p = u.p, * __restrict m = u.s0, * __restrict v = u.s1;
  const T* __restrict g = u.g;
  const T a = T(1) - k.beta1, b = T(1) - k.beta2, root = f_sqrt(k.c2);
  for (int64_t i = 0; i < u.n; ++i) {
    const T d = gradient_of<kClip>(k, g[i], p[i]);
    m[i] = k.beta1 * m[i] + a * d;
    v[i] = k.beta2 * v[i] + b * d * d;
    p[i] = p[i] * k.keep - (k.cg * d + k.c1 * m[i]) / (f_sqrt(v[i]) * root + k.eps);
  }
}

template <bool kClip, class T>
void lion(const Constants<T>& k, const Update<T>& u) {
  T* __restrict p = u.p, * __restrict m = u.s0;
  const T* __restrict g = u.g;
  const T a = T(1) - k.beta1, b = T(1) - k.beta2;
  for (int64_t i = 0; i < u.n; ++i) {
    const T d = gradient_of<kClip>(k, g[i], p[i]), along = k.beta1 * m[i] + a * d;
    m[i] = k.beta2 * m[i] + b * d;
    p[i] = p[i] * k.keep - k.lr * (along > T(0) ? T(1) : (along < T(0) ? T(-1) : along));  // a NaN stays one
  }
}

/// The direction of LAMB: Adam's, with decay.
template <class T>
inline T lamb_direction(const Constants<T>& k, T p, T m, T v, T root) {
  return k.correction * m / (f_sqrt(v) * root + k.eps) + k.decoupled * p;
}

template <bool kClip, class T>
void lamb_moments(const Constants<T>& k, const Update<T>& u) {
  T* __restrict m = u.s0, * __restrict v = u.s1, * __restrict out = u.direction;
  const T* __restrict p = u.p, * __restrict g = u.g;
  const T a = T(1) - k.beta1, b = T(1) - k.beta2, root = f_sqrt(k.c2);
  for (int64_t i = 0; i < u.n; ++i) {
    const T d = gradient_of<kClip>(k, g[i], p[i]);
    m[i] = k.beta1 * m[i] + a * d;
    v[i] = k.beta2 * v[i] + b * d * d;
    out[i] = lamb_direction(k, p[i], m[i], v[i], root);
  }
}

template <class T>
void lamb(const Constants<T>& k, const Update<T>& u) {
  T* __restrict p = u.p;
  const T* __restrict m = u.s0, * __restrict v = u.s1;
  const T root = f_sqrt(k.c2);
  for (int64_t i = 0; i < u.n; ++i) p[i] = p[i] - k.lr * lamb_direction(k, p[i], m[i], v[i], root);
}

}  // namespace

}  // namespace chorale::CHORALE_ISA
