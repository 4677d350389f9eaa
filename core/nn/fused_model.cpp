#include <chorale/core/nn/fused_model.hpp>

#include <algorithm>

#include <chorale/core/autograd/ops.hpp>
#include <chorale/core/nn/activation.hpp>

namespace chorale {

namespace {

/// Of the last layer with parameters; 0 where there is none.
std::size_t head_of(const Sequential& layers) {
  for (std::size_t i = layers.layers().size(); i-- > 0;)
    if (!layers.layers()[i]->parameters().empty()) return i;
  return 0;
}

Shape shape_before(const Sequential& layers, const Shape& in, std::size_t last) {
  Shape shape = in;
  for (std::size_t i = 0; i < last; ++i) shape = layers.layers()[i]->output_shape(shape);
  return shape;
}

std::unique_ptr<Sequential> fusion_of(std::int64_t in, std::int64_t out, const FusionOptions& o) {
  const Init::Role last = o.starts_at_zero ? Init::Role::zeros : Init::Role::weight;
  auto fusion = std::make_unique<Sequential>();
  fusion->add(std::make_unique<Linear>(o.hidden > 0 ? o.hidden : in, out, true, last));
  return fusion;
}

}  // namespace

FusedModel::FusedModel(std::unique_ptr<Sequential> own, const Shape& in, const FusionOptions& options)
    : own_(std::move(own)), options_(options), head_(head_of(*own_)), open_(static_cast<std::size_t>(options.peers), true) {
  const Shape out = own_->output_shape(in), phi = shape_before(*own_, in, head_);
  if (out.rank() != 1 || phi.rank() != 1)
    throw UsageError("a model that shares needs flat rows before and behind its last layer with parameters, got " + phi.text() + " and " +
                     out.text() + "; put flatten in front of it");
  for (const auto& [name, layer] : own_->children()) add_child(name, *layer);
  for (const Named& each : own_->layers()[head_]->parameters()) each.parameter->set_gain(options_.own_gain);
  if (options_.exports) {
    exporter_ = std::make_unique<Linear>(phi[0], options_.width);
    if (options_.exports_features && in.rank() == 1) {
      exporter_in_ = std::make_unique<Linear>(in[0], options_.width, false);
      add_child("exporter_in", *exporter_in_);
    }
    exporter_head_ = std::make_unique<Linear>(options_.width, out[0]);
    add_child("exporter", *exporter_), add_child("exporter_head", *exporter_head_);
  }
  if (options_.peers > 0) {
    gates_ = &add_parameter("gates", {1, options_.peers}, {Init::Role::zeros});
    if (options_.hidden > 0) {
      join_ = std::make_unique<Linear>(options_.peers * options_.width, options_.hidden);
      join_own_ = std::make_unique<Linear>(phi[0], options_.hidden, false);
      add_child("join", *join_), add_child("join_own", *join_own_);
    }
    fusion_ = fusion_of(options_.peers * options_.width, out[0], options_);
    add_child("fusion", *fusion_);
  }
}

void FusedModel::train_beside(const std::string& name, std::unique_ptr<Module> other) {
  add_child(name, *other);
  beside_ = std::move(other);
}

bool FusedModel::is_of_fusion(std::string_view parameter) {
  return parameter == "gates" || parameter.starts_with("join.") || parameter.starts_with("join_own.") || parameter.starts_with("fusion.");
}

bool FusedModel::any_open() const { return std::find(open_.begin(), open_.end(), true) != open_.end(); }

Variable FusedModel::gated(const Variable& shared, const Pass& pass) const {
  const std::int64_t columns = options_.peers * options_.width;
  if (shared.shape().rank() != 2 || shared.shape()[1] != columns)
    throw ShapeError("[fusion] expected \"shared\" [B, " + std::to_string(columns) + "], got " + shared.shape().text());
  const Variable weights = sigmoid(gates_->use(pass.training));
  if (std::find(open_.begin(), open_.end(), false) == open_.end()) return scale_runs(shared, weights);
  Tensor counts = Tensor::zeros(pass.device, weights.shape(), shared.dtype());  // 1 for each open peer
  with_float_type(shared.dtype(), [&]<class T>() {
    for (std::int64_t p = 0; p < options_.peers; ++p) counts.data<T>()[p] = T(is_open(p));
  });
  return scale_runs(shared, weights * Variable(counts));
}

Variable FusedModel::joined(const Variable& shared, const Variable& phi, const Pass& pass) {
  if (!join_) return shared;
  return relu(join_->forward_with(shared, *join_own_, phi, pass));
}

Variable FusedModel::exported(const Variable& x, const Variable& phi, const Pass& pass) {
  return exporter_in_ ? exporter_->forward_with(phi, *exporter_in_, x, pass) : exporter_->forward(phi, pass);
}

Variable FusedModel::entity(const Variable& x, const Pass& pass) { return exported(x, own_->forward_through(x, 0, head_, pass), pass); }

Values FusedModel::forward(const Values& in, const Pass& pass) {
  Pass own_pass = pass;
  own_pass.training = pass.training && !is_settled_ && !(is_probing_ && fusion_ && any_open());
  const Variable phi = own_->forward_through(in.at("x"), 0, head_, own_pass);
  Variable y = own_->forward_through(phi, head_, own_->layers().size(), own_pass);
  if (fusion_ && any_open()) y = y + fusion_->forward(joined(gated(in.at("shared"), pass), phi, pass), pass);
  Values out{{"y", y}};
  if (exporter_) {
    const Variable entity = exported(in.at("x"), phi, own_pass);
    out.set("entity", entity);
    if (pass.training) out.set("entity_y", exporter_head_->forward(entity, pass));
  }
  if (!beside_ || !pass.training) return out;
  const Values others = beside_->forward(in, pass);
  for (const auto& [name, value] : others.items()) out.set(name, value);
  return out;
}

}  // namespace chorale
