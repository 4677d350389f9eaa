// The gradient of a step between the ranks' agreement on it and the update, for whoever wants to see or change it: tasks that share
// parameters, for instance.
#pragma once
#include <cstdint>
#include <functional>

#include <chorale/core/nn/flat_params.hpp>

namespace chorale {

/// The same bits on every rank of the communicator that trains the model. Not yet clipped, nor applied.
struct GradientView {
  const FlatParams& params;  // names and places of entries(); values from before the update
  Buffer sums;               // trainable_elements() of the loss summed over the global batch. May be changed, alike on all ranks. Without
                             // elements: the step's loss is not finite and nothing will be updated; take part in what others wait for
  double scale = 0;          // what the update multiplies sums by: 1 / the batch's sum of weights. May be changed, as sums
  double loss = 0;           // mean over the batch
  std::int64_t step = 0;     // of the update, from 1
  bool skips = false;        // set, alike on all ranks: this update is not made
  bool is_good() const { return sums.elements > 0; }
};

/// Called by every rank at the same step, also where a step's loss is not finite. May communicate, and blocks the update.
using OnGradients = std::function<void(GradientView&)>;

}  // namespace chorale
