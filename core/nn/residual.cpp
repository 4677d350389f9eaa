#include <chorale/core/nn/residual.hpp>

#include <chorale/core/autograd/ops.hpp>
#include <chorale/core/nn/layer_entry.hpp>

namespace chorale {

namespace {
std::string count_text(const Sequential& branch) {
  const std::size_t n = branch.layers().size();
  return n == 1 ? branch.layers()[0]->name() : std::to_string(n) + " layers";
}
}  // namespace

Residual::Residual(std::unique_ptr<Sequential> main, std::unique_ptr<Sequential> shortcut, const Shape& in)
    : main_(std::move(main)), shortcut_(std::move(shortcut)) {
  const Shape there = main_->output_shape(in), beside = shortcut_ ? shortcut_->output_shape(in) : in;
  if (there != beside)
    throw ShapeError("[residual] cannot add rows of " + there.text() + " and of " + beside.text() +
                     (shortcut_ ? "; give both ways the same channels and strides"
                                : "; keep channels and extents, or give a projection: residual(LAYERS | conv2d(CHANNELS, 1, stride=S))"));
  add_child("main", *main_);
  if (shortcut_) add_child("shortcut", *shortcut_);
}

Variable Residual::forward_with_epilogue(const Variable& x, const Epilogue& epilogue, const Pass& pass) {
  Variable beside = shortcut_ ? shortcut_->forward(x, pass) : x;
  if (epilogue.addend.value().defined()) beside = beside + epilogue.addend;
  return main_->forward_with_epilogue(x, {.addend = beside, .has_relu = epilogue.has_relu}, pass);
}

std::string Residual::name() const { return "residual(" + count_text(*main_) + (shortcut_ ? " | " + count_text(*shortcut_) : "") + ")"; }

Concat::Concat(std::vector<std::unique_ptr<Sequential>> branches, const Shape& in) : branches_(std::move(branches)) {
  for (std::size_t b = 0; b < branches_.size(); ++b) add_child(std::to_string(b), *branches_[b]);
  output_shape(in);
}

Variable Concat::forward(const Variable& x, const Pass& pass) {
  std::vector<Variable> results;
  for (const auto& branch : branches_) results.push_back(branch->forward(x, pass));
  return concat(results);
}

std::string Concat::name() const {
  std::string out;
  for (const auto& branch : branches_) out += (out.empty() ? "" : " | ") + count_text(*branch);
  return "concat(" + out + ")";
}

Shape Concat::output_shape(const Shape& in) const {
  std::vector<std::int64_t> out;
  for (std::size_t b = 0; b < branches_.size(); ++b) {
    const Shape shape = branches_[b]->output_shape(in);
    std::vector<std::int64_t> dims(shape.dims().begin(), shape.dims().end());
    if (dims.empty()) throw ShapeError("[concat] expected rows [..., C], got " + shape.text());
    if (b > 0) dims.back() += out.back();
    if (b > 0 && !std::equal(dims.begin(), dims.end() - 1, out.begin(), out.end() - 1))
      throw ShapeError("[concat] branch " + std::to_string(b + 1) + " gives rows of " + shape.text() + ", those before it " +
                       Shape(out).text() + "; all extents but the last must agree: choose padding and strides alike");
    out = std::move(dims);
  }
  return Shape(out);
}

void register_residual(Registry& registry) {
  auto& layers = registry.of<LayerEntry>();
  layers.add("residual",
             {.help = "residual(LAYERS) or residual(LAYERS | SHORTCUT): their result plus the input, or plus what the shortcut makes of it",
              .make = nullptr,
              .sample = "residual(conv2d(3, 3, padding=1, bias=false) batch_norm relu conv2d(3, 3, padding=1, bias=false) batch_norm) relu",
              .sample_shape = {4, 5, 3},
              .nest = [](std::vector<std::unique_ptr<Sequential>> inside, const Shape& in) -> std::unique_ptr<Layer> {
                if (inside.size() > 2)
                  throw UsageError("residual takes one way and one shortcut, got " + std::to_string(inside.size()) +
                                   " branches; put residual inside residual for more");
                return std::make_unique<Residual>(std::move(inside[0]), inside.size() > 1 ? std::move(inside[1]) : nullptr, in);
              }});
  layers.add("concat", {.help = "concat(LAYERS | LAYERS | ...): results for the same input side by side in the last dimension",
                        .make = nullptr,
                        .sample = "concat(conv2d(2, 3, padding=1) relu | conv2d(3, 1) | identity)",
                        .sample_shape = {4, 3, 2},
                        .nest = [](std::vector<std::unique_ptr<Sequential>> inside, const Shape& in) -> std::unique_ptr<Layer> {
                          return std::make_unique<Concat>(std::move(inside), in);
                        }});
  layers.add("identity", {.help = "identity: the input, as a branch of concat",
                          .make = [](LayerArguments&, const Shape&) -> std::unique_ptr<Layer> { return std::make_unique<Identity>(); },
                          .sample = "identity linear(2)",
                          .sample_shape = {3}});
}

}  // namespace chorale
