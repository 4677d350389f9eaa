#include <chorale/core/nn/transformer_block.hpp>

#include <chorale/core/nn/layer_entry.hpp>

namespace chorale {

namespace {
Normalisation::Parameters all() { return {.weight = true, .bias = true}; }
}  // namespace

TransformerBlock::TransformerBlock(const BlockOptions& o)
    : options_(o),
      self_attn_(o.width, o.attention),
      linear1_(o.width, o.feed_forward),
      linear2_(o.feed_forward, o.width),
      norm1_("layer_norm", o.width, {}, all()),
      norm2_("layer_norm", o.width, {}, all()),
      dropout1_(o.dropout),
      dropout2_(o.dropout) {
  add_child("self_attn", self_attn_);
  add_child("linear1", linear1_);
  add_child("linear2", linear2_);
  add_child("norm1", norm1_);
  add_child("norm2", norm2_);
  add_child("dropout1", dropout1_);
  add_child("dropout2", dropout2_);
  self_attn_.projection().set_gain(o.residual_gain);
  linear2_.set_gain(o.residual_gain);
}

Variable TransformerBlock::feed_forward(const Variable& x, const Pass& pass) {
  return linear2_.forward(map(options_.activation, linear1_.forward(x, pass)), pass);
}

Variable TransformerBlock::forward(const Variable& x, const Pass& pass) {
  if (options_.norm_is_first) {
    const Variable h = x + dropout1_.forward(self_attn_.forward(norm1_.forward(x, pass), pass), pass);
    return h + dropout2_.forward(feed_forward(norm2_.forward(h, pass), pass), pass);
  }
  const Variable h = norm1_.forward(x + dropout1_.forward(self_attn_.forward(x, pass), pass), pass);
  return norm2_.forward(h + dropout2_.forward(feed_forward(h, pass), pass), pass);
}

std::string TransformerBlock::name() const {
  return "transformer_block(" + std::to_string(options_.attention.heads) + ", " + std::to_string(options_.feed_forward) +
         (options_.norm_is_first ? ", pre_norm=true" : "") + (options_.attention.is_causal ? ", causal=true" : "") + ")";
}

Unary parse_block_activation(const std::string& name) {
  if (name == "relu") return Unary::relu;
  if (name == "gelu") return Unary::gelu;
  throw UsageError("activation '" + name + "' is unknown; use relu or gelu");
}

void register_transformer_block(Registry& registry) {
  registry.of<LayerEntry>().add(
      "transformer_block",
      {.help = "transformer_block(HEADS, FEED_FORWARD, dropout=0, causal=false, pre_norm=false, gelu=false): self-attention and a "
               "feed-forward network by place, each added to what it reads, with layer norms",
       .make = [](LayerArguments& a, const Shape& in) -> std::unique_ptr<Layer> {
         if (in.rank() != 2) throw ShapeError("[transformer_block] expected rows [T, C], got " + in.text());
         const std::int64_t heads = a.count(0, "heads"), feed_forward = a.count(1, "feed_forward");
         const double dropout = a.number(2, "dropout", 0, 0, 0.999);
         return std::make_unique<TransformerBlock>(BlockOptions{.width = in[1],
                                                                .feed_forward = feed_forward,
                                                                .attention = {heads, a.flag("causal", false)},
                                                                .dropout = dropout,
                                                                .norm_is_first = a.flag("pre_norm", false),
                                                                .activation = a.flag("gelu", false) ? Unary::gelu : Unary::relu});
       },
       .sample = "transformer_block(2, 7)",
       .sample_shape = {5, 6}});
}

}  // namespace chorale
