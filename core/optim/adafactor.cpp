// Adafactor: of a matrix's squared gradients only the means of rows and columns are kept (Shazeer & Stern 2018, algorithms 4 and 5 without
// momentum), as torch.optim.Adafactor: beta2 = 1 - t^-0.8, the rate at most 1/sqrt(t) and relative to the tensor's own size, updates of
// root mean square at most 1. Of tensors with more than two dimensions the last two are matrices; vectors, rows and columns keep all
// squares. Rows and columns lie across blocks, so every rank sees the whole gradient and computes this state alike: it is small.
#include <chorale/core/optim/optimizer.hpp>

#include <algorithm>
#include <cmath>

namespace chorale {

namespace {

constexpr double kDecayPower = -0.8, kLeastSize = 1e-3, kGreatestUpdate = 1;

/// A tensor as matrices one after the other. Its state: all row means, then all column means; of a tensor that is not factored, squares.
struct Matrices {
  std::int64_t count = 1, rows = 0, columns = 1;
  std::int64_t first = 0;  // of its own state
  bool is_factored = false;
  std::int64_t column_state() const { return first + count * rows; }
};

Matrices matrices_of(const ArenaTensor& tensor, std::int64_t first) {
  const int d = tensor.shape.rank();
  if (d < 2 || tensor.shape[-1] < 2 || tensor.shape[-2] < 2) return {.rows = tensor.count, .first = first};
  const std::int64_t rows = tensor.shape[-2], columns = tensor.shape[-1];
  return {.count = tensor.count / (rows * columns), .rows = rows, .columns = columns, .first = first, .is_factored = true};
}

class Adafactor final : public Optimizer {
 public:
  explicit Adafactor(const OptimizerConfig& config) : Optimizer(config, {}, {.sums = 1, .gradient_again = true, .whole = true}) {
    if (config.weight_decay != 0 && !config.decoupled)
      throw UsageError("optimizer.decay = l2 adds to gradients, of which adafactor keeps means of rows only; use decoupled");
  }

 protected:
  void count(UpdateScalars& s, std::int64_t step) const override {
    const double t = static_cast<double>(step);
    s.beta2 = 1 - std::pow(t, kDecayPower);
    s.correction1 = std::min(s.lr, 1 / std::sqrt(t));  // the relative rate; decay goes by s.lr
  }
  void measure_run(const Device& device, const UpdateScalars&, const Update<float>& run, double* sums) override {
    sums[0] = device.typed<float>().sum_of_squares(run.p, run.n, 1);
  }
  void measure_run(const Device& device, const UpdateScalars&, const Update<double>& run, double* sums) override {
    sums[0] = device.typed<double>().sum_of_squares(run.p, run.n, 1);
  }
  void take_sums(UpdateScalars& s, std::size_t tensor, std::span<const double> sums) override {
    s.correction1 *= std::max(kLeastSize, std::sqrt(sums[0] / static_cast<double>(tensors()[tensor].count)));
  }
  void see_whole(const float* gradient) override { see_all(gradient); }
  void see_whole(const double* gradient) override { see_all(gradient); }
  void update_run(const Device&, const UpdateScalars& s, const Update<float>& run, Place place) const override { update(s, run, place); }
  void update_run(const Device&, const UpdateScalars& s, const Update<double>& run, Place place) const override { update(s, run, place); }
  std::vector<OwnTensor> own_layout() override {
    std::vector<OwnTensor> out;
    seen_.clear();
    std::int64_t first = 0;
    const auto add = [&](const std::string& what, const ArenaTensor& tensor, Shape shape) {
      out.push_back({what + "." + tensor.name, shape, first});
      first += shape.elements();
    };
    for (const ArenaTensor& tensor : tensors()) {
      const Matrices& m = seen_.emplace_back(matrices_of(tensor, first)).matrices;
      Shape rows = tensor.shape, columns = tensor.shape;
      if (m.is_factored) rows[-1] = 1, columns[-2] = 1;
      add(m.is_factored ? "row_var" : "variance", tensor, rows);
      if (m.is_factored) add("col_var", tensor, columns);
    }
    return out;
  }

 private:
  struct Seen {
    Seen(Matrices m) : matrices(m) {}
    Matrices matrices;
    std::vector<double> row_scale = {};  // by matrix: one over the mean of its row means
    double rate = 0;                     // of this step
  };

  template <class T>
  static T seen(const UpdateScalars& s, T g) {
    g *= static_cast<T>(s.grad_scale);
    const T clip = static_cast<T>(s.clip_value);
    return clip > 0 ? std::clamp(g, -clip, clip) : g;
  }
  /// f(i, step) for elements [first, first + n) of a tensor, g pointing at the first: the step without the rate.
  template <class T, class F>
  void each_step(const UpdateScalars& s, const Seen& tensor, const T* g, std::int64_t first, std::int64_t n, F&& f) const {
    const T* const state = const_cast<Adafactor*>(this)->own_state().template as<T>();
    const T floor = static_cast<T>(s.eps * s.eps);
    const auto step = [&](std::int64_t i, T estimate) { f(i, seen(s, g[i]) / std::sqrt(std::max(estimate, floor))); };
    const Matrices& m = tensor.matrices;
    for (std::int64_t i = 0; !m.is_factored && i < n; ++i) step(i, state[m.first + first + i]);
    for (std::int64_t i = 0; m.is_factored && i < n;) {  // a row, or what of it lies here
      const std::int64_t row = (first + i) / m.columns, column = (first + i) % m.columns, which = row / m.rows;
      const T share = state[m.first + row] * static_cast<T>(tensor.row_scale[static_cast<std::size_t>(which)]);
      const T* columns = state + m.column_state() + which * m.columns + column;
      const std::int64_t end = std::min(n, i + m.columns - column);
      for (std::int64_t c = 0; i < end; ++i, ++c) step(i, share * columns[c]);
    }
  }

  template <class T>
  void see_all(const T* gradient) {
    for (std::size_t t = 0; t < seen_.size(); ++t) {
      if (!is_due(t)) continue;
      const UpdateScalars& s = scalars_of(t);
      const T* g = gradient + tensors()[t].first;
      const Matrices& m = seen_[t].matrices;
      if (m.is_factored)
        see_matrices(s, g, seen_[t]);
      else
        for (std::int64_t i = 0; i < m.rows; ++i) keep(s, own_state().as<T>()[m.first + i], squared(seen(s, g[i])));
      double squares = 0;
      each_step(s, seen_[t], g, 0, tensors()[t].count, [&](std::int64_t, T step) { squares += squared(step); });
      const double size = std::sqrt(squares / static_cast<double>(tensors()[t].count));
      seen_[t].rate = s.correction1 / std::max(1.0, size / kGreatestUpdate);
    }
  }
  template <class T>
  void see_matrices(const UpdateScalars& s, const T* g, Seen& tensor) {
    const Matrices& m = tensor.matrices;
    tensor.row_scale.assign(static_cast<std::size_t>(m.count), 0);
    std::vector<double> column_sums;
    for (std::int64_t which = 0; which < m.count; ++which, g += m.rows * m.columns) {
      T* const rows = own_state().as<T>() + m.first + which * m.rows;
      T* const columns = own_state().as<T>() + m.column_state() + which * m.columns;
      column_sums.assign(static_cast<std::size_t>(m.columns), 0);
      double row_means = 0;
      for (std::int64_t r = 0; r < m.rows; ++r) {
        double sum = 0;
        for (std::int64_t c = 0; c < m.columns; ++c) {
          const double square = squared(seen(s, g[r * m.columns + c]));
          sum += square, column_sums[static_cast<std::size_t>(c)] += square;
        }
        keep(s, rows[r], sum / static_cast<double>(m.columns));
        row_means += static_cast<double>(rows[r]);
      }
      for (std::int64_t c = 0; c < m.columns; ++c)
        keep(s, columns[c], column_sums[static_cast<std::size_t>(c)] / static_cast<double>(m.rows));
      tensor.row_scale[static_cast<std::size_t>(which)] = 1 / std::max(s.eps, row_means / static_cast<double>(m.rows));
    }
  }
  template <class T>
  static double squared(T value) {
    return static_cast<double>(value) * static_cast<double>(value);
  }
  template <class T>
  static void keep(const UpdateScalars& s, T& mean, double value) {
    mean = static_cast<T>(s.beta2 * static_cast<double>(mean) + (1 - s.beta2) * value);
  }
  template <class T>
  void update(const UpdateScalars& s, const Update<T>& run, Place place) const {
    const T keep = static_cast<T>(1 - s.lr * s.decoupled), rate = static_cast<T>(seen_[place.tensor].rate);
    each_step(s, seen_[place.tensor], run.g, place.first, run.n, [&](std::int64_t i, T step) { run.p[i] = run.p[i] * keep - rate * step; });
  }

  std::vector<Seen> seen_;  // by tensor
};

}  // namespace

void register_adafactor(Registry& registry) {
  registry.of<OptimizerEntry>().add(
      "adafactor", {.help = "second moments of rows and columns only, little memory, Shazeer & Stern 2018",
                    .make = [](const OptimizerConfig& c) -> std::unique_ptr<Optimizer> { return std::make_unique<Adafactor>(c); },
                    .decoupled_by_default = true});
}

}  // namespace chorale
