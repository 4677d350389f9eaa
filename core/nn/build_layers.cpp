// Layers from a recipe's words: NAME(ARGUMENTS), one after the other, and NAME(LAYERS | LAYERS) for those that hold others.
#include <cctype>

#include <chorale/core/nn/layer_entry.hpp>
#include <chorale/core/nn/sequential.hpp>

namespace chorale {

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
    throw UsageError("model.layers: " + why + " at " + here() + "; write layers as linear(128) relu dropout(0.2)");
  }
  /// "character 12, 'relu)'", of what comes next.
  std::string here() const { return place(at_); }
  std::string place(std::size_t at) const {
    return "character " + std::to_string(at + 1) + ", '" + std::string(text_.substr(at, 20)) + "'";
  }
  std::size_t at() {
    skip();
    return at_;
  }
  char next() {
    skip();
    return at_ < text_.size() ? text_[at_] : '\0';
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

/// Reads layers one after the other, and those in brackets by calling itself.
class LayerReader {
 public:
  LayerReader(std::string_view text, const Registry& registry) : words_(text), registry_(registry) {}
  /// Up to the end of the text, or inside brackets to the | or ) behind them.
  std::unique_ptr<Sequential> layers(const Shape& in, int depth) {
    auto out = std::make_unique<Sequential>();
    Shape shape = in;
    while (!words_.at_end() && !(depth > 0 && (words_.next() == '|' || words_.next() == ')'))) {
      std::unique_ptr<Layer> layer = one(shape, depth);
      shape = layer->output_shape(shape);
      out->add(std::move(layer));
    }
    return out;
  }

 private:
  static constexpr int kDeepest = 16;

  std::unique_ptr<Layer> one(const Shape& in, int depth) {
    const std::size_t at = words_.at();
    const std::string name = words_.word();
    const LayerEntry& entry = registry_.of<LayerEntry>().at(name, "layer");
    if (!entry.nest) {
      LayerArguments arguments = read_arguments(words_, name);
      std::unique_ptr<Layer> layer = entry.make(arguments, in);
      arguments.finish();
      return layer;
    }
    std::vector<std::unique_ptr<Sequential>> inside = branches(name, in, depth + 1);
    try {
      return entry.nest(std::move(inside), in);
    } catch (const Error& e) {
      throw UsageError(std::string(e.what()) + ", at " + words_.place(at));
    }
  }

  std::vector<std::unique_ptr<Sequential>> branches(const std::string& name, const Shape& in, int depth) {
    if (depth > kDeepest) words_.refuse("more than " + std::to_string(kDeepest) + " layers inside each other");
    const std::string remedy = "; write " + name + "(LAYERS) or " + name + "(LAYERS | LAYERS)";
    if (!words_.take('(')) throw UsageError("model.layers: " + name + " holds layers: expected ( at " + words_.here() + remedy);
    std::vector<std::unique_ptr<Sequential>> out;
    do {
      const std::string place = words_.here();
      out.push_back(layers(in, depth));
      if (out.back()->layers().empty())
        throw UsageError("model.layers: no layers in a branch of " + name + " at " + place +
                         "; write identity for one that gives its input");
    } while (words_.take('|'));
    if (!words_.take(')'))
      throw UsageError("model.layers: " + name + " is not closed: expected a layer, | or ) at " + words_.here() + remedy);
    return out;
  }

  Words words_;
  const Registry& registry_;
};

}  // namespace

std::unique_ptr<Sequential> build_layers(std::string_view expression, const Shape& in, const Registry& registry) {
  std::unique_ptr<Sequential> model = LayerReader(expression, registry).layers(in, 0);
  if (model->layers().empty()) throw UsageError("model.layers is empty; write layers as linear(128) relu linear(1)");
  return model;
}

}  // namespace chorale
