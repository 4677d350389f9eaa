// A checkpoint's parameters as one safetensors file that other tools load.
#pragma once
#include <cstddef>
#include <string>

#include <chorale/core/io/checkpoint.hpp>

namespace chorale {

struct ConvertOrder {
  std::string out;
  bool best = true;            // the weights that early stopping kept, where there are such
  std::string dtype = "same";  // f32 f64 bf16
};

struct Converted {
  std::size_t tensors = 0;
  bool best = false;
};

/// Names and layouts stay (PyTorch's); the header says {"format": "pt"}, which PyTorch's loaders ask for. Written beside and renamed.
/// Throws CheckpointError, IoError; UsageError when the target is a folder.
Converted convert_checkpoint(const Checkpoint& checkpoint, const ConvertOrder& order);

}  // namespace chorale
