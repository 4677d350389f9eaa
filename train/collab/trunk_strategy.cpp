// The strategy `trunk`: layers that all tasks have in common, trained by the gradients of all of them in lock-step, or averaged at ticks.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include <chorale/core/base/error.hpp>
#include <chorale/core/nn/parameter_pattern.hpp>
#include <chorale/train/collab/strategy.hpp>
#include <chorale/train/collab/task_scale.hpp>
#include <chorale/train/collab/trunk.hpp>
#include <chorale/train/data/together.hpp>

namespace chorale {

namespace {

std::vector<std::int64_t> ranks_of(const std::vector<TaskInfo>& tasks) {
  std::vector<std::int64_t> out;
  for (const TaskInfo& task : tasks) out.push_back(task.ranks);
  return out;
}

TrunkOptions options_of(const StrategySetup& setup) {
  const TrunkPlan& plan = setup.options.trunk;
  TrunkOptions out{.weights = {}, .pcgrad = plan.pcgrad, .uncertainty_lr = plan.uncertainty_lr, .seed = plan.seed};
  for (const TaskInfo& task : setup.tasks) out.weights.push_back(task.weight);
  return out;
}

class TrunkStrategy final : public Strategy {
 public:
  explicit TrunkStrategy(const StrategySetup& setup)
      : setup_(setup),
        trunk_(Lanes(setup.sharing, setup.task, setup.number, ranks_of(setup.tasks), "trunk"), setup.number, options_of(setup)) {}

  /// All tasks begin with the values of the first, or of the first that was given some of another run.
  void begin(const TrainedParameters& parameters) override {
    parameters_ = parameters;
    together(setup_.sharing, "shared parameters", [&](std::int64_t& position) {
      position = setup_.number;
      std::vector<std::string> patterns = setup_.options.trunk.parameters;
      if (patterns.empty()) patterns = layers_before_head(setup_.model.own());
      selection_.emplace(*parameters.params, patterns);
    });
    check_trunk(setup_.sharing, *selection_, setup_.me().name);
    packed_ = Tensor::empty(setup_.device, {selection_->elements()}, setup_.dtype);
    const int first = first_given();
    change_values([&]<class T>(std::span<T> values) { trunk_.spread_from(first, values); });
  }

  bool takes_gradients() const override { return setup_.options.trunk.average_every == 0; }

  /// A loss that is not finite ends the run, and the others hear of it: nobody takes part for this task.
  void after_gradients(GradientView& gradient) override {
    if (!gradient.is_good()) return;
    with_float_type(setup_.dtype, [&]<class T>() {
      T* sums = gradient.sums.as<T>();
      const T scale = static_cast<T>(gradient.scale);
      // Means from here on: what the update would multiply sums by differs between tasks, and their shared parameters would drift apart.
      for (std::int64_t i = 0; i < gradient.sums.elements; ++i) sums[i] *= scale;
      const std::span<T> packed = packed_span<T>();
      selection_->pack<T>(sums, packed);
      trunk_.combine(packed, gradient.step, gradient.loss);
      selection_->unpack<T>(packed, sums);
    });
    gradient.scale = 1;
  }

  void tick(const Tick& tick) override {
    const std::int64_t every = setup_.options.plan.is_final(tick.number) ? 0 : setup_.options.trunk.average_every;
    if (every > 0 && tick.number % every == 0) change_values([&]<class T>(std::span<T> values) { trunk_.average(values); });
  }

  std::string state_text() const override { return fmt::format("trunk {:a}", trunk_.uncertainty().log_variance()); }
  void restore(const SafetensorsFile& file, const std::string& text, const Tick&) override {
    double s = 0;
    if (std::sscanf(text.c_str(), "trunk %la", &s) != 1)
      throw CheckpointError(file.path().string() + ": '" + text + "' is no state of the strategy trunk");
    trunk_.restore(s);
  }
  std::uint64_t bytes_sent() const override { return trunk_.bytes_sent(); }

 private:
  /// Whether this task starts with weights of another run among the parameters in common.
  bool is_given() const {
    const TrunkPlan& plan = setup_.options.trunk;
    if (!plan.is_given || plan.given.empty()) return plan.is_given;
    std::vector<std::string> all;
    for (const FlatParams::Entry& entry : parameters_.params->entries()) all.push_back(entry.name);
    const ParameterNames names(all);
    const std::vector<std::string> common = selection_->names();
    return std::any_of(common.begin(), common.end(), [&](const std::string& name) { return names.is_meant(plan.given, name); });
  }

  /// Collective. The task whose values all begin with.
  int first_given() {
    const bool mine = is_given();
    std::int64_t word = mine ? setup_.number : static_cast<std::int64_t>(setup_.tasks.size());
    std::vector<std::int64_t> words(static_cast<std::size_t>(setup_.sharing.size()));
    const std::vector<std::int64_t> one(words.size(), 1);
    setup_.sharing.all_gather(buffer_of(std::span(&word, 1)), buffer_of(std::span(words)), one, "weights to start with").wait();
    const std::int64_t first = *std::min_element(words.begin(), words.end());
    if (first == static_cast<std::int64_t>(setup_.tasks.size())) return 0;
    if (mine && first != setup_.number && setup_.say)
      setup_.say(fmt::format("train.init_from: parameters in common begin with the values that {} has loaded, not with its own",
                             setup_.tasks[static_cast<std::size_t>(first)].name));
    return static_cast<int>(first);
  }

  template <class T>
  std::span<T> packed_span() const {
    return {packed_.data<T>(), static_cast<std::size_t>(packed_.elements())};
  }
  /// f(shared values) on every rank, and what it makes of them in the arena.
  template <class F>
  void change_values(F f) {
    const FlatParams& params = *parameters_.params;
    Tensor arena = Tensor::empty(setup_.device, {params.elements()}, setup_.dtype);
    setup_.device.copy(arena.raw(), params.values().data, arena.bytes());
    with_float_type(setup_.dtype, [&]<class T>() {
      const std::span<T> packed = packed_span<T>();
      selection_->pack<T>(arena.data<T>(), packed);
      f.template operator()<T>(packed);
      selection_->unpack<T>(packed, arena.data<T>());
    });
    parameters_.write(arena.buffer());
  }

  StrategySetup setup_;
  Trunk trunk_;
  TrainedParameters parameters_;
  std::optional<TrunkSelection> selection_;  // from begin() on
  Tensor packed_;
};

void add_scales(Sequential& own, const LayersSetup& setup) {
  if (!setup.options.trunk.scales) return;
  together(setup.sharing, "layers of tasks", [&](std::int64_t& position) {
    position = setup.number;
    add_task_scales(own, setup.in, setup.options.trunk.parameters);
  });
}

}  // namespace

void register_trunk(Registry& registry) {
  registry.of<StrategyEntry>().add(
      "trunk", {.help = "layers that all tasks have in common, trained by all of their gradients",
                .make = [](const StrategySetup& s) -> std::unique_ptr<Strategy> { return std::make_unique<TrunkStrategy>(s); },
                .in_lockstep = [](const CollabOptions& options) { return options.trunk.average_every == 0; },
                .change_layers = add_scales});
}

}  // namespace chorale
