// Models of sequences of tokens by name: what model.kind makes beside a chain of layers.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include <chorale/core/nn/sequential.hpp>

namespace chorale {

struct SequenceModelOptions {
  std::int64_t tokens = 0, context = 0, outputs = 0;  // of the vocabulary; places of a row; logits a place
  std::int64_t depth = 4, heads = 4, width = 128, feed_forward = 512;
  double dropout = 0;
  std::string norm = "pre", activation = "gelu", positions = "learned";
  bool is_causal = true, is_tied = false;
};

/// In the Registry under the name of model.kind.
struct SequenceModelEntry {
  std::string help;
  /// Tokens [B, T] to [B, T, outputs]. Throws UsageError for options that do not fit together.
  std::unique_ptr<Sequential> (*make)(const SequenceModelOptions& options);
};

}  // namespace chorale
