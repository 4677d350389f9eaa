// A Transformer encoder over tokens, with a head that gives logits for every place: with a causal mask a language model.
#pragma once
#include <memory>
#include <string>

#include <chorale/core/nn/embedding.hpp>
#include <chorale/core/nn/sequence_model.hpp>
#include <chorale/core/nn/sequential.hpp>
#include <chorale/core/nn/transformer_block.hpp>

namespace chorale {

/// y [..., V] = x weight^T + bias with an embedding's own table as weight; "bias" [V]. Source: Press & Wolf, "Using the output embedding to
/// improve language models", EACL 2017.
class TiedHead final : public Layer {
 public:
  /// `embedding` outlives it.
  TiedHead(const Embedding& embedding, std::int64_t tokens);
  using Layer::forward;
  Variable forward(const Variable& x, const Pass& pass) override;
  Shape output_shape(const Shape& in) const override;
  std::string name() const override { return "tied_head"; }

 private:
  const Embedding& embedding_;
  Parameter& bias_;
};

/// Tokens [B, up to context] to logits [B, T, outputs]. Children in order: "embedding", "positions" (learned ones), "dropout",
/// "encoder.layers.0" and so on, "encoder.norm" (where norms come first), "head". Throws UsageError.
std::unique_ptr<Sequential> build_transformer(const SequenceModelOptions& options);

}  // namespace chorale
