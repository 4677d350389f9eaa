#include <chorale/train/collab/stitch.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include <chorale/core/base/error.hpp>

namespace chorale {

template <class T>
void add_weighted(T* out, const T* from, const T* alpha, std::int64_t n, std::int64_t each) {
  for (std::int64_t i = 0; each == 1 && i < n; ++i) out[i] += alpha[0] * from[i];
  for (std::int64_t i = 0; each > 1 && i < n; ++i) out[i] += alpha[i % each] * from[i];
}
template void add_weighted(float*, const float*, const float*, std::int64_t, std::int64_t);
template void add_weighted(double*, const double*, const double*, std::int64_t, std::int64_t);

namespace {

constexpr double kOwn = 0.9;

/// What a pass has seen of all tasks: of task u, h and then its row of alpha, `each` numbers a pair.
template <class T>
struct Board {
  std::vector<T> values;
  std::int64_t tasks, elements, each;
  const T* h(std::int64_t task) const { return values.data() + task * (elements + tasks * each); }
  const T* alpha(std::int64_t of, std::int64_t from) const { return h(of) + elements + from * each; }
};

/// out = sum over tasks of alpha(u) source(u), in the order of tasks.
template <class T, class Source, class Alpha>
void weighted_sum(T* out, const Board<T>& board, Source source, Alpha alpha) {
  std::fill_n(out, board.elements, T{0});
  for (std::int64_t u = 0; u < board.tasks; ++u) add_weighted(out, source(u), alpha(u), board.elements, board.each);
}

/// Of one alpha: products of dy and h, summed over rows, and over a row's values where they have it in common.
template <class T>
void alpha_gradient(const T* dy, const T* h, const Board<T>& board, T* out) {
  std::vector<double> sums(static_cast<std::size_t>(board.each));
  for (std::int64_t i = 0; i < board.elements; ++i)
    sums[static_cast<std::size_t>(i % board.each)] += static_cast<double>(dy[i]) * static_cast<double>(h[i]);
  for (std::size_t i = 0; i < sums.size(); ++i) out[i] = static_cast<T>(sums[i]);
}

}  // namespace

Stitch::Stitch(Lanes lanes, int number, const Form& form)
    : lanes_(std::move(lanes)),
      number_(number),
      form_(form),
      own_(add_parameter("own", form.channels ? Shape({form.width}) : Shape({1}), {.role = Init::Role::ones, .gain = kOwn})),
      others_(add_parameter("others", form.channels ? Shape({lanes_.tasks() - 1, form.width}) : Shape({lanes_.tasks() - 1}),
                            {.role = Init::Role::ones, .gain = (1 - kOwn) / (lanes_.tasks() - 1)})) {}

template <class T>
std::vector<T> Stitch::from_all(std::span<const T> mine, Label label) {
  std::vector<T> out(mine.size() * static_cast<std::size_t>(lanes_.tasks())), in(mine.begin(), mine.end());
  const std::vector<std::int64_t> counts(static_cast<std::size_t>(lanes_.tasks()), static_cast<std::int64_t>(mine.size()));
  lanes_.lane().all_gather(buffer_of(std::span(in)), buffer_of(std::span(out)), counts, label).wait();
  return out;
}

double Stitch::mean_over_tasks(double mine) {
  const std::vector<double> all = from_all<double>(std::span(&mine, 1), "numbers of tasks");
  return std::accumulate(all.begin(), all.end(), 0.0) / static_cast<double>(all.size());
}

Variable Stitch::forward(const Variable& h, const Pass& pass) {
  if (is_alone_) return h;
  return with_float_type(h.dtype(), [&]<class T>() { return stitched<T>(h, pass); });
}

template <class T>
Variable Stitch::stitched(const Variable& h, const Pass& pass) {
  const std::int64_t tasks = lanes_.tasks(), me = number_, n = h.value().elements(), each = form_.channels ? form_.width : 1;
  const Variable own = own_.use(pass.training), others = others_.use(pass.training);
  std::vector<T> mine(h.value().data<T>(), h.value().data<T>() + n);
  for (std::int64_t u = 0; u < tasks; ++u) {
    const T* alpha = u == me ? own.value().data<T>() : others.value().data<T>() + (u - (u > me)) * each;
    mine.insert(mine.end(), alpha, alpha + each);
  }
  Board<T> board{from_all<T>(mine, "stitched layer"), tasks, n, each};
  Tensor y = Tensor::empty(pass.device, h.shape(), h.dtype());
  weighted_sum(
      y.data<T>(), board, [&](std::int64_t u) { return board.h(u); }, [&](std::int64_t u) { return board.alpha(me, u); });
  return make_result(
      std::move(y), {h.node(), own.node(), others.node()}, [this, board = std::move(board), me, hn = h.node(), own, others](Tensor dy) {
        const std::int64_t count = board.elements;
        const std::vector<T> all = from_all<T>({dy.data<T>(), static_cast<std::size_t>(count)}, "gradients of the stitched layer");
        const Tensor d_own = Tensor::empty(dy.device(), own.shape(), dy.dtype());
        const Tensor d_others = Tensor::empty(dy.device(), others.shape(), dy.dtype());
        for (std::int64_t u = 0; u < board.tasks; ++u)
          alpha_gradient(dy.data<T>(), board.h(u), board, u == me ? d_own.data<T>() : d_others.data<T>() + (u - (u > me)) * board.each);
        own.node()->adopt(d_own), others.node()->adopt(d_others);
        if (!hn) return;
        weighted_sum(
            dy.data<T>(), board, [&](std::int64_t u) { return all.data() + u * count; },
            [&](std::int64_t u) { return board.alpha(u, me); });
        hn->adopt(std::move(dy));
      });
}

std::int64_t last_before_head(const Sequential& layers) {
  for (std::size_t i = layers.layers().size(); i-- > 0;)
    if (!layers.layers()[i]->parameters().empty()) return static_cast<std::int64_t>(i) - 1;
  return -1;
}

std::int64_t stitched_layer(const Sequential& layers, const std::string& name) {
  if (name.empty()) return last_before_head(layers);
  std::string names;
  for (std::size_t i = 0; i < layers.children().size(); ++i) {
    if (layers.children()[i].first == name) return static_cast<std::int64_t>(i);
    names += " " + layers.children()[i].first;
  }
  throw UsageError("collab.stitch.layer = " + name + " is refused: there is no such layer; there are" + names);
}

Stitch& add_stitch(Sequential& layers, const Shape& in, std::int64_t behind, Lanes lanes, int number, bool channels) {
  const std::int64_t most = last_before_head(layers);
  bool has_parameters = false;
  Shape shape = in;
  for (std::int64_t i = 0; i <= std::min(behind, most); ++i) {
    const Layer& layer = *layers.layers()[static_cast<std::size_t>(i)];
    has_parameters = has_parameters || !layer.parameters().empty();
    shape = layer.output_shape(shape);
  }
  if (behind > most || !has_parameters)
    throw UsageError(
        fmt::format("collab.stitch.layer = {} is refused: a stitch lies behind a layer with parameters and before the last "
                    "such layer; {}",
                    behind, most < 0 ? "this model has no two" : fmt::format("in this model behind at most layer {}", most)));
  if (shape.rank() != 1)
    throw UsageError("collab.stitch.layer = " + std::to_string(behind) + " gives rows of shape " + shape.text() +
                     "; put flatten before it, or the stitch behind another layer");
  auto stitch = std::make_unique<Stitch>(std::move(lanes), number, Stitch::Form{.width = shape[0], .channels = channels});
  Stitch& out = *stitch;
  layers.insert(static_cast<std::size_t>(behind) + 1, "stitch", std::move(stitch));
  return out;
}

}  // namespace chorale
