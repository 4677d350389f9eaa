// The terms by which strategies pull on a model, each a differentiable mean over rows. Legend: B rows, C classes, d width.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include <chorale/core/autograd/variable.hpp>

namespace chorale {

/// Softmax of z / tau over the last dimension, [B, C]; for C = 1 the sigmoid. Constants.
Tensor softened(const Tensor& z, double tau);
/// tau^2 KL(p || softmax(z / tau)), mean over rows; C = 1: of the two classes whose logit is z. p [B, C], constant, as softened() gives it.
/// Source: Hinton, Vinyals & Dean, "Distilling the knowledge in a neural network", 2015.
Variable distillation(const Variable& z, const Tensor& p, double tau);

/// Mean over rows of |e - prototype|^2 / d where the row has one, plus the mean over columns of max(0, 1 - deviation of the column), which
/// keeps vectors from falling together. e [B, d], prototypes [B, d], has [B]: 0 or 1. The second part is 0 for a single row.
/// Source of the hinge: Bardes, Ponce & LeCun, VICReg, ICLR 2022, with its epsilon.
Variable pull_to_prototypes(const Variable& e, const Tensor& prototypes, std::span<const float> has);

/// Sum over (1 - c_jj)^2 + off_diagonal * sum of c_jk^2, divided by d, c being the correlations over rows between own vectors e [B, d] and
/// a peer's r [B, d], constant. Only rows with has = 1 count; fewer than 4: no value.
/// Source: Zbontar, Jing, Misra, LeCun & Deny, Barlow Twins, ICML 2021.
Variable cross_correlation(const Variable& e, const Tensor& r, std::span<const float> has, double off_diagonal);

}  // namespace chorale
