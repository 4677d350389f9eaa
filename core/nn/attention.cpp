#include <chorale/core/nn/attention.hpp>

#include <chorale/core/autograd/ops.hpp>
#include <chorale/core/nn/layer_entry.hpp>

namespace chorale {

SelfAttention::SelfAttention(std::int64_t width, const AttentionOptions& options)
    : width_(width),
      options_(options),
      in_proj_weight_(add_parameter("in_proj_weight", {3 * width, width}, {.fan_in = width, .fan_out = 3 * width})),
      in_proj_bias_(add_parameter("in_proj_bias", {3 * width}, {.role = Init::Role::zeros})),
      out_proj_(width, width) {
  if (options.heads < 1 || width % options.heads)
    throw UsageError("attention of " + std::to_string(width) + " channels in " + std::to_string(options.heads) +
                     " heads is refused: the heads must divide them");
  add_child("out_proj", out_proj_);
}

Variable SelfAttention::forward(const Variable& x, const Pass& pass) {
  const Variable qkv = linear(x, in_proj_weight_.use(pass.training), in_proj_bias_.use(pass.training));
  return out_proj_.forward(attention(qkv, options_), pass);
}

Shape SelfAttention::output_shape(const Shape& in) const {
  if (in.rank() != 2 || in[1] != width_)
    throw ShapeError("[attention] expected rows [T, " + std::to_string(width_) + "], got " + in.text());
  return in;
}

std::string SelfAttention::name() const {
  return "attention(" + std::to_string(options_.heads) + (options_.is_causal ? ", causal=true)" : ")");
}

void register_attention(Registry& registry) {
  registry.of<LayerEntry>().add(
      "attention", {.help = "attention(HEADS, causal=false): multi-head self-attention over [T, C]; causal: nothing sees what comes after",
                    .make = [](LayerArguments& a, const Shape& in) -> std::unique_ptr<Layer> {
                      if (in.rank() != 2) throw ShapeError("[attention] expected rows [T, C], got " + in.text());
                      const std::int64_t heads = a.count(0, "heads");
                      return std::make_unique<SelfAttention>(in[1], AttentionOptions{heads, a.flag("causal", false)});
                    },
                    .sample = "attention(2)",
                    .sample_shape = {5, 6}});
}

}  // namespace chorale
