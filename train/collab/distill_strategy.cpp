// The strategy `distill` by predictions: tasks with one label space tell each other, at ticks, what they make of rows without labels, and
// each is pulled towards the mean of the others. Source: Anil et al., "Large scale distributed neural network training through online
// distillation", ICLR 2018, with predictions in place of models.
#include <chorale/train/collab/distill.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <sstream>
#include <utility>

#include <chorale/core/autograd/ops.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/train/collab/label_space.hpp>
#include <chorale/train/collab/probe_rows.hpp>
#include <chorale/train/collab/published_keys.hpp>
#include <chorale/train/collab/sharing_terms.hpp>
#include <chorale/train/collab/strategy.hpp>
#include <chorale/train/collab/tick_gather.hpp>
#include <chorale/train/replica.hpp>

namespace chorale {

namespace {

constexpr std::uint64_t kProbeSeed = 0x64697374u;

class Distill final : public Strategy {
 public:
  explicit Distill(const StrategySetup& setup);
  Variable loss_term(const WorkerPass& pass) override;
  void tick(const Tick& tick) override;
  void advance() override { gather_.advance(); }
  void settle() override { gather_.settle(); }
  std::vector<NamedTensor> state() const override;
  std::string state_text() const override { return std::to_string(told_at_); }
  void restore(const SafetensorsFile& file, const std::string& text, const Tick& tick) override;

 private:
  ProbeRows probes_of(std::int64_t tick) const {
    return only(own_, draw(common_, setup_.options.distill.entities, mix(kProbeSeed, static_cast<std::uint64_t>(tick))));
  }
  void listen(const std::vector<std::vector<std::int32_t>>& told);
  std::int64_t tasks() const { return static_cast<std::int64_t>(setup_.tasks.size()); }

  StrategySetup setup_;
  TickGather gather_;
  std::int64_t classes_ = 1;
  ProbeRows own_;                 // of this task
  std::vector<EntityId> common_;  // to all tasks
  ProbeRows probes_;              // told at the last tick
  ProbeRows in_use_;              // those that taught_ is about
  std::vector<float> taught_;     // [probes, classes]: mean of the peers' softened predictions; empty: nobody has told any
  std::int64_t told_at_ = 0;      // the tick at which they were told
  double weight_ = 0;
};

Distill::Distill(const StrategySetup& setup)
    : setup_(setup), gather_(setup.sharing, "distill"), classes_(setup.outputs), own_(probe_rows(setup.rows)) {
  const std::vector<std::string>& all = setup.options.strategies;
  if (std::find(all.begin(), all.end(), "stitch") != all.end())
    throw UsageError("collab.strategy = distill makes passes that stitch would have to wait for; take one of them");
  check_label_spaces(setup);
  const auto ids = gather_ids(setup.sharing, setup.number, setup.tasks.size(), own_.ids);
  common_ = ids[0];
  for (const auto& each : ids) common_ = in_common(common_, each);
  if (common_.empty())
    throw DataError(
        "collab.strategy = distill needs entities that all tasks have rows of outside of validation and test, and there are none; "
        "see task.NAME.entity");
  if (setup.say)
    setup.say(fmt::format("distill: {} entities in common to all tasks, {} of them at a tick", common_.size(),
                          std::min<std::int64_t>(setup.options.distill.entities, static_cast<std::int64_t>(common_.size()))));
}

/// Of the matched control a task is its own teacher; of the shuffled one what is told of one probe is taken for another's.
void Distill::listen(const std::vector<std::vector<std::int32_t>>& told) {
  const auto probes = static_cast<std::int32_t>(probes_.ids.size());
  const auto classes = static_cast<std::size_t>(classes_);
  std::vector<std::int32_t> from(probes_.ids.size());
  std::iota(from.begin(), from.end(), 0);
  if (setup_.options.control == Control::shuffled)
    from = drawn_order(probes, mix(setup_.options.control_seed, static_cast<std::uint64_t>(told_at_)));
  std::vector<double> sum(probes_.ids.size() * classes);
  std::int64_t peers = 0;
  for (std::int64_t t = 0; t < tasks(); ++t) {
    const std::vector<std::int32_t>& words = told[static_cast<std::size_t>(t)];
    if ((t == setup_.number) != setup_.hears_itself() || words.size() != sum.size()) continue;  // who does not train yet tells nothing
    ++peers;
    for (std::size_t i = 0; i < sum.size(); ++i) {
      float value = 0;
      std::memcpy(&value, &words[static_cast<std::size_t>(from[i / classes]) * classes + i % classes], sizeof value);
      sum[i] += static_cast<double>(value);
    }
  }
  taught_.clear();
  if (peers == 0 || !setup_.me().listens()) return;
  for (const double s : sum) taught_.push_back(static_cast<float>(s / static_cast<double>(peers)));
}

void Distill::tick(const Tick& tick) {
  const auto told = gather_.take(tasks());
  if (told_at_ > 0) listen(told);
  weight_ = taught_.empty() ? 0 : distill_weight(setup_.options, tick);
  const ProbeRows next = probes_of(tick.number);
  std::vector<std::int32_t> words;
  const bool tells = tick.trains && setup_.tells();
  if (tells && setup_.task.rank() == 0) {
    const Values in = Replica::gather(*setup_.all, next.rows, setup_.device, setup_.dtype);
    FusedModel& model = setup_.untrained ? *setup_.untrained : setup_.model;
    append_floats(words, softened(model.forward(in, {.device = setup_.device}).at("y").value(), setup_.options.distill.temperature));
  }
  gather_.post(setup_.number, std::move(words));
  in_use_ = std::exchange(probes_, next);
  told_at_ = tick.number;
}

Variable Distill::loss_term(const WorkerPass& pass) {
  if (weight_ == 0) return {};
  const auto count = std::max<std::int64_t>(1, std::llround(setup_.options.distill.share * static_cast<double>(pass.rows.size())));
  const auto all = static_cast<std::int64_t>(in_use_.rows.size());
  const auto first = static_cast<std::int64_t>(mix(pass.pass.random_key, static_cast<std::uint64_t>(pass.first_position)) %
                                               static_cast<std::uint64_t>(all));
  std::vector<std::int64_t> rows;
  std::vector<float> p;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t at = (first + i) % all;
    rows.push_back(in_use_.rows[static_cast<std::size_t>(at)]);
    p.insert(p.end(), taught_.begin() + at * classes_, taught_.begin() + (at + 1) * classes_);
  }
  const Values in = Replica::gather(*setup_.all, rows, setup_.device, setup_.dtype);
  Pass with = pass.pass;
  with.random_key = mix(with.random_key, kProbeSeed);
  const Variable z = setup_.model.forward(in, with).at("y");
  Tensor target = Tensor::empty(setup_.device, {count, classes_}, setup_.dtype);
  with_float_type(setup_.dtype, [&]<class T>() { std::copy(p.begin(), p.end(), target.data<T>()); });
  return weight_ * distillation(z, target, setup_.options.distill.temperature);
}

std::vector<NamedTensor> Distill::state() const {
  std::vector<NamedTensor> out = gather_.state("distill", tasks());
  out.push_back({"distill.taught", DType::f32, {static_cast<std::int64_t>(taught_.size())}, taught_.data()});
  return out;
}

void Distill::restore(const SafetensorsFile& file, const std::string& text, const Tick& tick) {
  std::istringstream in(text);
  const NamedTensor& found = file.at("distill.taught");
  if (!(in >> told_at_) || found.dtype != DType::f32)
    throw CheckpointError(file.path().string() + ": '" + text + "' is no state of distill");
  gather_.restore(file, "distill", tasks());
  const auto* values = static_cast<const float*>(found.data);
  taught_.assign(values, values + found.shape.elements());
  if (told_at_ > 0) probes_ = probes_of(told_at_);
  if (told_at_ > 1) in_use_ = probes_of(told_at_ - 1);
  if (!taught_.empty() && taught_.size() != in_use_.rows.size() * static_cast<std::size_t>(classes_))
    throw CheckpointError(file.path().string() + ": distill.taught is of other entities");
  weight_ = taught_.empty() ? 0 : distill_weight(setup_.options, tick);
}

}  // namespace

std::unique_ptr<Strategy> make_distill(const StrategySetup& setup) { return std::make_unique<Distill>(setup); }

}  // namespace chorale
