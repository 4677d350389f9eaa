// Recurrent networks as one differentiable operation over all times.
#pragma once
#include <chorale/core/autograd/variable.hpp>

namespace chorale {

/// As PyTorch stores them, gates one below the other: w_ih [G H, I], w_hh [G H, H], b_ih and b_hh [G H]; G is 4 (i, f, g, o) of an lstm
/// and 3 (r, z, n) of a gru.
struct RecurrentWeights {
  const Variable& w_ih;
  const Variable& w_hh;
  const Variable& b_ih;
  const Variable& b_hh;
};

/// y [B, T, H] from x [B, T, I]: the state h of each time, from zero states on. Throws ShapeError. Sources: Hochreiter & Schmidhuber 1997
/// with the forget gate of Gers et al. 2000; Cho et al. 2014.
Variable lstm(const Variable& x, const RecurrentWeights& weights);
Variable gru(const Variable& x, const RecurrentWeights& weights);

/// y [B, C] = x [B, T, C] at the last time. Throws ShapeError.
Variable last_time(const Variable& x);

}  // namespace chorale
