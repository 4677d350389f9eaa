// The strategy `align`: a row's own vector is to correlate, column by column, with what peers have published of its entity.
#include <algorithm>

#include <chorale/core/autograd/ops.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/train/collab/sharing_terms.hpp>
#include <chorale/train/collab/strategy.hpp>

namespace chorale {

namespace {

/// Peers' vectors come by the publication; it has nothing to tell itself.
class Align final : public Strategy {
 public:
  explicit Align(const StrategySetup& setup) : setup_(setup) {}
  void tick(const Tick& tick) override { pulls_ = !tick.burns_in; }
  std::string state_text() const override { return "-"; }
  void restore(const SafetensorsFile&, const std::string&, const Tick& tick) override { pulls_ = !tick.burns_in; }

  /// Mean over the peers that know enough of the pass's entities.
  Variable loss_term(const WorkerPass& pass) override {
    const FetchedRows* fetched = setup_.publication->fetched();
    if (!pulls_ || !fetched) return {};
    const Variable entity = pass.results.at("entity");
    const Tensor shared = pass.in.at("shared").value();
    Variable all;
    std::int64_t peers = 0;
    for (std::size_t source = 0; source < fetched->sources().size(); ++source) {
      std::vector<float> has;
      const Tensor rows = columns_of(shared, static_cast<std::int64_t>(source), has);
      const Variable term = cross_correlation(entity, rows, has, setup_.options.align.off_diagonal);
      if (!term.value().defined()) continue;
      all = all.value().defined() ? all + term : term;
      ++peers;
    }
    return peers > 0 ? (setup_.options.align.weight / static_cast<double>(peers)) * all : all;
  }

 private:
  /// A source's part of "shared", [B, width]; has: whether the peer knows the row's entity, whose vector is not all 0 then.
  Tensor columns_of(const Tensor& shared, std::int64_t source, std::vector<float>& has) const {
    const std::int64_t width = setup_.options.width, columns = shared.row_elements();
    Tensor out = Tensor::empty(setup_.device, {shared.rows(), width}, shared.dtype());
    with_float_type(shared.dtype(), [&]<class T>() {
      for (std::int64_t r = 0; r < shared.rows(); ++r) {
        const T* from = shared.data<T>() + r * columns + source * width;
        std::copy_n(from, width, out.data<T>() + r * width);
        has.push_back(std::any_of(from, from + width, [](T v) { return v != T{0}; }) ? 1.0f : 0.0f);
      }
    });
    return out;
  }
  StrategySetup setup_;
  bool pulls_ = false;
};

}  // namespace

void register_align_strategy(Registry& registry) {
  registry.of<StrategyEntry>().add(
      "align", {.help = "own vectors are made to correlate with those that peers publish of the same entities",
                .needs_vectors = true,
                .needs_exporter = true,
                .make = [](const StrategySetup& s) -> std::unique_ptr<Strategy> { return std::make_unique<Align>(s); }});
}

}  // namespace chorale
