#include <chorale/core/nn/sequential.hpp>

#include <cctype>

#include <chorale/core/nn/layer_entry.hpp>

namespace chorale {

void Sequential::add(std::unique_ptr<Layer> layer) {
  add_child(std::to_string(layers_.size()), *layer);
  layers_.push_back(std::move(layer));
}

void Sequential::insert(std::size_t position, const std::string& name, std::unique_ptr<Layer> layer) {
  insert_child(position, name, *layer);
  layers_.insert(layers_.begin() + static_cast<std::ptrdiff_t>(position), std::move(layer));
}

Variable Sequential::forward(const Variable& x, const Pass& pass) { return forward_through(x, 0, layers_.size(), pass); }

std::size_t Sequential::at_turn(std::size_t i, std::size_t first, std::size_t last) const {
  const auto swaps = [&](std::size_t k) { return layers_[k]->is_growing() && layers_[k + 1]->goes_before_growing(); };
  if (i + 1 < last && swaps(i)) return i + 1;
  return i > first && swaps(i - 1) ? i - 1 : i;
}

Variable Sequential::forward_through(const Variable& x, std::size_t first, std::size_t last, const Pass& pass) {
  const bool traces = pass.trace && pass.trace->is_on();
  Variable y = x;
  for (std::size_t turn = first; turn < last; ++turn) {
    const std::size_t i = at_turn(turn, first, last);
    Layer& layer = *layers_[i];
    if (pass.observer) pass.observer->forward(layer.path());
    if (traces) {
      const std::string name = children()[i].first + " " + layer.name();
      const TraceSpan span(pass.trace, name);
      y = layer.forward(y, pass);
    } else {
      y = layer.forward(y, pass);
    }
    if (pass.observer && y.needs_gradient()) y.node()->end_of(layer.path());
  }
  return y;
}

Shape Sequential::output_shape(const Shape& in) const {
  Shape shape = in;
  for (const auto& layer : layers_) shape = layer->output_shape(shape);
  return shape;
}

namespace {

/// Reads the words of a layer expression.
class Words {
 public:
  explicit Words(std::string_view text) : text_(text) {}
  bool at_end() {
    skip();
    return at_ == text_.size();
  }
  std::string word() {
    skip();
    const std::size_t begin = at_;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) || std::string_view("_.-+").find(text_[at_]) != std::string_view::npos))
      ++at_;
    if (begin == at_) refuse("expected a word");
    return std::string(text_.substr(begin, at_ - begin));
  }
  bool take(char c) {
    skip();
    const bool there = at_ < text_.size() && text_[at_] == c;
    if (there) ++at_;
    return there;
  }
  [[noreturn]] void refuse(const std::string& why) const {
    throw UsageError("model.layers: " + why + " at '" + std::string(text_.substr(at_, 20)) +
                     "'; write layers as linear(128) relu dropout(0.2)");
  }

 private:
  void skip() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  std::string_view text_;
  std::size_t at_ = 0;
};

LayerArguments read_arguments(Words& words, const std::string& layer) {
  std::vector<std::string> positional;
  std::map<std::string, std::string> named;
  if (!words.take('(') || words.take(')')) return {layer, {}, {}};
  do {
    const std::string first = words.word();
    if (words.take('='))
      named[first] = words.word();
    else if (named.empty())
      positional.push_back(first);
    else
      words.refuse("a value without a name after a named one");
  } while (words.take(','));
  if (!words.take(')')) words.refuse("expected , or )");
  return {layer, std::move(positional), std::move(named)};
}

}  // namespace

std::unique_ptr<Sequential> build_layers(std::string_view expression, const Shape& in, const Registry& registry) {
  Words words(expression);
  auto model = std::make_unique<Sequential>();
  Shape shape = in;
  while (!words.at_end()) {
    const std::string layer_name = words.word();
    const LayerEntry& entry = registry.of<LayerEntry>().at(layer_name, "layer");
    LayerArguments arguments = read_arguments(words, layer_name);
    std::unique_ptr<Layer> layer = entry.make(arguments, shape);
    arguments.finish();
    shape = layer->output_shape(shape);
    model->add(std::move(layer));
  }
  if (model->layers().empty()) throw UsageError("model.layers is empty; write layers as linear(128) relu linear(1)");
  return model;
}

}  // namespace chorale
