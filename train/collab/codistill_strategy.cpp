// The strategy `distill` by checkpoints: tasks of one architecture send each other their weights at ticks, and each is pulled towards the
// mean of what its peers' models, as they then were, make of its own rows. Source: Anil et al., "Large scale distributed neural network
// training through online distillation", ICLR 2018.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include <chorale/core/autograd/ops.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/core/nn/flat_params.hpp>
#include <chorale/train/collab/distill.hpp>
#include <chorale/train/collab/label_space.hpp>
#include <chorale/train/collab/probe_rows.hpp>
#include <chorale/train/collab/published_keys.hpp>
#include <chorale/train/collab/sharing_terms.hpp>
#include <chorale/train/collab/tick_gather.hpp>

namespace chorale {

namespace {

using Words = std::vector<std::int32_t>;

class Codistill final : public Strategy {
 public:
  explicit Codistill(const StrategySetup& setup);
  Variable loss_term(const WorkerPass& pass) override;
  void tick(const Tick& tick) override;
  void advance() override { gather_.advance(); }
  void settle() override { gather_.settle(); }
  std::vector<NamedTensor> state() const override;
  void restore(const SafetensorsFile& file, const std::string& text, const Tick& tick) override;

 private:
  void check_architectures() const;
  void listen(const Tick& tick);
  Tensor taught(const WorkerPass& pass);
  std::int64_t tasks() const { return static_cast<std::int64_t>(setup_.tasks.size()); }

  StrategySetup setup_;
  TickGather gather_;
  std::unique_ptr<Sequential> teacher_;  // one model for all peers, whose weights it is given one after the other
  FlatParams params_;                    // of it
  std::vector<Words> told_;              // by task: the weights it has sent last; empty: none yet
  std::vector<Tensor> weights_;          // of those that teach here
  double weight_ = 0;
};

Codistill::Codistill(const StrategySetup& setup)
    : setup_(setup),
      gather_(setup.sharing, "distill"),
      teacher_(setup.another()),
      params_(*teacher_, setup.device, setup.dtype),
      told_(setup.tasks.size()) {
  if (setup.options.trunk.scales)
    throw UsageError(
        "collab.distill.form = checkpoint asks models of one architecture, and with collab.trunk.scales each task has another; take one "
        "of them out");
  check_label_spaces(setup);
  check_architectures();
}

/// Equal on all ranks.
void Codistill::check_architectures() const {
  std::string mine;
  for (const std::string& feature : setup_.rows.features) mine += (mine.empty() ? "columns " : ", ") + feature;
  for (const Module::Named& each : setup_.model.own().parameters())
    mine += (mine.empty() ? "" : "; ") + each.name + " " + each.parameter->shape().text();
  const auto name = [](const std::vector<std::byte>& bytes) {
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  const auto models = all_gather_bytes(setup_.sharing, std::as_bytes(std::span(mine)), "architectures of tasks");
  const auto names = all_gather_bytes(setup_.sharing, std::as_bytes(std::span(setup_.me().name)), "names of tasks");
  for (std::size_t r = 1; r < models.size(); ++r)
    if (models[r] != models[0])
      throw UsageError(fmt::format(
          "collab.distill.form = checkpoint needs the same columns and layers in all tasks: {} has {}, {} has {}; give them the same "
          "data.columns and model.layers, or take distill.form = predictions",
          name(names[0]), name(models[0]), name(names[r]), name(models[r])));
}

void Codistill::listen(const Tick& tick) {
  std::size_t expected = 0;
  for (const FlatParams::Entry& each : params_.entries()) expected += static_cast<std::size_t>(each.count);
  weights_.clear();
  for (std::int64_t t = 0; setup_.me().listens() && t < tasks(); ++t) {
    const Words& words = told_[static_cast<std::size_t>(t)];
    if ((t == setup_.number) != setup_.hears_itself() || words.size() != expected) continue;  // who does not train yet sends nothing
    weights_.push_back(Tensor::zeros(setup_.device, {params_.elements()}, setup_.dtype));
    params_.bind(weights_.back().buffer());
    std::size_t at = 0;
    for (const Module::Named& each : teacher_->parameters())
      with_float_type(setup_.dtype, [&]<class T>() {
        T* to = each.parameter->value().data<T>();
        for (std::int64_t i = 0; i < each.parameter->shape().elements(); ++i) {
          float value = 0;
          std::memcpy(&value, &words[at++], sizeof value);
          to[i] = static_cast<T>(value);
        }
      });
  }
  weight_ = weights_.empty() ? 0 : distill_weight(setup_.options, tick);
}

void Codistill::tick(const Tick& tick) {
  std::vector<Words> told = gather_.take(tasks());
  for (std::size_t t = 0; t < told.size(); ++t)
    if (!told[t].empty()) told_[t] = std::move(told[t]);
  listen(tick);
  Words words;
  if (tick.trains && setup_.tells() && setup_.task.rank() == 0)
    for (const Module::Named& each : (setup_.untrained ? *setup_.untrained : setup_.model).own().parameters())
      append_floats(words, each.parameter->value());
  gather_.post(setup_.number, std::move(words));
}

/// [B, C]: the mean of what peers make of the pass's rows; of the shuffled control of another of these rows.
Tensor Codistill::taught(const WorkerPass& pass) {
  const auto rows = static_cast<std::int64_t>(pass.rows.size()), classes = setup_.outputs;
  Tensor out = Tensor::zeros(setup_.device, {rows, classes}, setup_.dtype);
  std::vector<std::int32_t> from;
  if (setup_.options.control == Control::shuffled)
    from = drawn_order(static_cast<std::int32_t>(rows), mix(setup_.options.control_seed, static_cast<std::uint64_t>(pass.first_position)));
  for (const Tensor& weights : weights_) {
    params_.bind(weights.buffer());
    const Tensor q = softened(teacher_->forward(Variable(pass.in.at("x").value()), {.device = setup_.device}).value(),
                              setup_.options.distill.temperature);
    with_float_type(setup_.dtype, [&]<class T>() {
      const T share = T{1} / static_cast<T>(weights_.size());
      for (std::int64_t i = 0; i < rows * classes; ++i) {
        const std::int64_t row = from.empty() ? i / classes : from[static_cast<std::size_t>(i / classes)];
        out.data<T>()[i] += share * q.data<T>()[row * classes + i % classes];
      }
    });
  }
  return out;
}

Variable Codistill::loss_term(const WorkerPass& pass) {
  if (weight_ == 0) return {};
  return weight_ * distillation(pass.results.at("y"), taught(pass), setup_.options.distill.temperature);
}

std::vector<NamedTensor> Codistill::state() const {
  std::vector<NamedTensor> out = gather_.state("distill", tasks());
  for (std::size_t t = 0; t < told_.size(); ++t)
    out.push_back({"distill.weights." + std::to_string(t), DType::i32, {static_cast<std::int64_t>(told_[t].size())}, told_[t].data()});
  return out;
}

void Codistill::restore(const SafetensorsFile& file, const std::string&, const Tick& tick) {
  gather_.restore(file, "distill", tasks());
  for (std::size_t t = 0; t < told_.size(); ++t) {
    const NamedTensor& found = file.at("distill.weights." + std::to_string(t));
    if (found.dtype != DType::i32) throw CheckpointError(file.path().string() + ": " + found.name + " is no list of words");
    const auto* words = static_cast<const std::int32_t*>(found.data);
    told_[t].assign(words, words + found.shape.elements());
  }
  listen(tick);
}

}  // namespace

std::unique_ptr<Strategy> make_codistill(const StrategySetup& setup) { return std::make_unique<Codistill>(setup); }

void register_distill_strategy(Registry& registry) {
  registry.of<StrategyEntry>().add(
      "distill", {.help = "predictions of peers, for tasks with one label space: each is pulled towards the others' mean",
                  .make = [](const StrategySetup& s) { return s.options.distill.by_checkpoint ? make_codistill(s) : make_distill(s); }});
}

}  // namespace chorale
