#include <chorale/core/nn/norms.hpp>

#include <chorale/core/nn/layer_entry.hpp>

namespace chorale {

Normalisation::Normalisation(std::string kind, std::int64_t channels, const NormOptions& options, Parameters parameters)
    : kind_(std::move(kind)),
      channels_(channels),
      options_(options),
      weight_(parameters.weight ? &add_parameter("weight", {channels}, {.role = Init::Role::ones}) : nullptr),
      bias_(parameters.bias ? &add_parameter("bias", {channels}, {.role = Init::Role::zeros}) : nullptr) {}

Variable Normalisation::forward(const Variable& x, const Pass& pass) {
  const auto use = [&](const Parameter* p) { return p ? p->use(pass.training) : Variable(); };
  return normalise(x, use(weight_), use(bias_), options_);
}

Shape Normalisation::output_shape(const Shape& in) const {
  if (in.rank() < 1 || in[-1] != channels_)
    throw ShapeError("[" + kind_ + "] expected rows [..., " + std::to_string(channels_) + "], got " + in.text());
  return in;
}

std::string Normalisation::name() const {
  const std::string groups = options_.over_places ? std::to_string(options_.groups) + ", " : "";
  return kind_ + "(" + groups + std::to_string(channels_) + ")";
}

namespace {

std::int64_t last_extent(const char* layer, const Shape& in) {
  if (in.rank() < 1) throw ShapeError(std::string("[") + layer + "] expected rows [..., features], got " + in.text());
  return in[-1];
}

std::unique_ptr<Layer> make_layer_norm(LayerArguments& a, const Shape& in) {
  const double eps = a.number(0, "eps", 1e-5, 0, 1);
  const bool has_weight = a.flag("affine", true), has_bias = a.flag("bias", true);
  return std::make_unique<Normalisation>("layer_norm", last_extent("layer_norm", in), NormOptions{.eps = eps},
                                         Normalisation::Parameters{.weight = has_weight, .bias = has_weight && has_bias});
}

std::unique_ptr<Layer> make_rms_norm(LayerArguments& a, const Shape& in) {
  const double eps = a.number(0, "eps", 1e-5, 0, 1);
  return std::make_unique<Normalisation>("rms_norm", last_extent("rms_norm", in), NormOptions{.is_centred = false, .eps = eps},
                                         Normalisation::Parameters{.weight = a.flag("affine", true), .bias = false});
}

std::unique_ptr<Layer> make_group_norm(LayerArguments& a, const Shape& in) {
  const std::int64_t groups = a.count(0, "groups"), channels = last_extent("group_norm", in);
  if (channels % groups)
    throw UsageError("group_norm(" + std::to_string(groups) + ") of " + std::to_string(channels) +
                     " channels is refused: the groups must divide them");
  const double eps = a.number(1, "eps", 1e-5, 0, 1);
  const bool affine = a.flag("affine", true);
  return std::make_unique<Normalisation>("group_norm", channels, NormOptions{.groups = groups, .over_places = true, .eps = eps},
                                         Normalisation::Parameters{.weight = affine, .bias = affine});
}

}  // namespace

void register_norms(Registry& registry) {
  auto& layers = registry.of<LayerEntry>();
  layers.add("layer_norm", {.help = "layer_norm(eps=1e-5, affine=true, bias=true): each row, or place, of [..., C] by itself",
                            .make = make_layer_norm,
                            .sample = "layer_norm",
                            .sample_shape = {7}});
  layers.add("rms_norm", {.help = "rms_norm(eps=1e-5, affine=true): divides by the root mean square over the last dimension",
                          .make = make_rms_norm,
                          .sample = "rms_norm",
                          .sample_shape = {3, 5}});
  layers.add("group_norm", {.help = "group_norm(GROUPS, eps=1e-5, affine=true): groups of channels of a sample [..., C], over all places",
                            .make = make_group_norm,
                            .sample = "group_norm(3)",
                            .sample_shape = {4, 5, 6}});
}

}  // namespace chorale
