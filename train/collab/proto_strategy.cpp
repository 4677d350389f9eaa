// The strategy `proto`: for each value of a key that tasks have in common (a segment, a week) the mean of all tasks' vectors is the
// prototype that a row's vector is pulled to. Source of prototypes: Snell, Swersky & Zemel, NeurIPS 2017; between parties, Tan et al.,
// FedProto, 2022.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include <chorale/core/autograd/ops.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/train/collab/entity_sums.hpp>
#include <chorale/train/collab/probe_rows.hpp>
#include <chorale/train/collab/published_keys.hpp>
#include <chorale/train/collab/sharing_terms.hpp>
#include <chorale/train/collab/strategy.hpp>
#include <chorale/train/collab/tick_gather.hpp>

namespace chorale {

namespace {

class Proto final : public Strategy {
 public:
  explicit Proto(const StrategySetup& setup);
  void on_results(const WorkerPass& pass) override;
  Variable loss_term(const WorkerPass& pass) override;
  void tick(const Tick& tick) override;
  void advance() override { gather_.advance(); }
  void settle() override { gather_.settle(); }
  std::vector<NamedTensor> state() const override;
  std::string state_text() const override { return "-"; }
  void restore(const SafetensorsFile& file, const std::string& text, const Tick& tick) override;

 private:
  void apply(const std::vector<std::vector<std::int32_t>>& told);
  std::int64_t tasks() const { return static_cast<std::int64_t>(setup_.tasks.size()); }
  std::int32_t key_of(std::int64_t row) const { return by_row_[static_cast<std::size_t>(setup_.rows.train->row_id(row))]; }

  StrategySetup setup_;
  TickGather gather_;
  std::size_t width_;
  std::size_t keys_ = 0;
  std::vector<std::int32_t> by_row_;     // of the table: number of its key; -1: none
  std::vector<std::int32_t> taken_for_;  // by key that a peer names: the key it is taken for, itself but in a control
  EntitySums seen_;                      // since the last tick, by (key, virtual worker)
  std::vector<float> prototypes_;        // [keys, width]
  std::vector<std::uint8_t> known_;      // by key
  bool pulls_ = false;
};

Proto::Proto(const StrategySetup& setup)
    : setup_(setup), gather_(setup.sharing, "proto"), width_(static_cast<std::size_t>(setup.options.width)), seen_(setup.options.width) {
  const EntityIndex mine = index_entities(setup.rows.key);
  const auto ids = gather_ids(setup.sharing, setup.number, setup.tasks.size(), mine.ids);
  std::vector<EntityId> all;
  for (std::size_t t = 0; t < ids.size(); ++t) {
    if (ids[t].empty())
      throw UsageError("collab.strategy = proto needs collab.proto.key in every task, and " + setup.tasks[t].name + " has no value of '" +
                       setup.options.proto.key + "'; name a column or a kind of entity that all of them have");
    all.insert(all.end(), ids[t].begin(), ids[t].end());
  }
  all = index_entities(all).ids;
  keys_ = all.size();
  const std::vector<std::int32_t> position = places_of(mine.ids, all);
  by_row_ = mine.of_row;
  for (std::int32_t& key : by_row_)
    if (key >= 0) key = position[static_cast<std::size_t>(key)];
  prototypes_.resize(keys_ * width_), known_.resize(keys_);
  taken_for_.resize(keys_);
  std::iota(taken_for_.begin(), taken_for_.end(), 0);
  if (setup.options.control == Control::shuffled) taken_for_ = drawn_order(static_cast<std::int32_t>(keys_), setup.options.control_seed);
  if (setup.say) setup.say(fmt::format("proto: {} values of {}, {} of them in this task", keys_, setup.options.proto.key, mine.ids.size()));
}

void Proto::on_results(const WorkerPass& pass) {
  if (!setup_.tells()) return;
  const Tensor entity =
      (setup_.untrained ? setup_.untrained->entity(pass.in.at("x"), {.device = setup_.device}) : pass.results.at("entity")).value();
  with_float_type(entity.dtype(), [&]<class T>() {
    const T* vector = entity.data<T>();
    for (const std::int64_t row : pass.rows) {
      if (const std::int32_t key = key_of(row); key >= 0) seen_.add(key, static_cast<std::int32_t>(pass.worker), vector);
      vector += width_;
    }
  });
}

/// Sums go over (task, worker) in their order, so that they do not depend on ranks.
void Proto::apply(const std::vector<std::vector<std::int32_t>>& told) {
  const auto words = static_cast<std::size_t>(EntitySums::entry_words(setup_.options.width));
  std::vector<double> sums(keys_ * width_);
  std::vector<std::int64_t> counts(keys_);
  std::vector<float> vector(width_);
  for (std::size_t t = 0; t < told.size(); ++t) {
    const std::vector<std::int32_t>& task = told[t];
    const bool is_own = static_cast<int>(t) == setup_.number;
    if (!is_own && setup_.hears_itself()) continue;
    std::vector<const std::int32_t*> order;
    for (std::size_t at = 0; at + words <= task.size(); at += words) order.push_back(task.data() + at);
    std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return std::pair(a[0], a[1]) < std::pair(b[0], b[1]); });
    for (const std::int32_t* entry : order) {
      if (entry[0] < 0 || static_cast<std::size_t>(entry[0]) >= keys_) throw CheckpointError("what was posted of proto is damaged");
      const auto key = static_cast<std::size_t>(is_own ? entry[0] : taken_for_[static_cast<std::size_t>(entry[0])]);
      counts[key] += entry[2];
      std::memcpy(vector.data(), entry + 3, width_ * sizeof(float));
      for (std::size_t j = 0; j < width_; ++j) sums[key * width_ + j] += static_cast<double>(vector[j]);
    }
  }
  for (std::size_t key = 0; key < keys_; ++key) {
    if (counts[key] == 0) continue;  // nobody has seen it since: it stays
    known_[key] = 1;
    for (std::size_t j = 0; j < width_; ++j)
      prototypes_[key * width_ + j] = static_cast<float>(sums[key * width_ + j] / static_cast<double>(counts[key]));
  }
}

void Proto::tick(const Tick& tick) {
  apply(gather_.take(tasks()));
  pulls_ = !tick.burns_in;
  std::vector<std::int32_t> words = seen_.packed();
  seen_.clear();
  gather_.post(setup_.number, std::move(words));
}

Variable Proto::loss_term(const WorkerPass& pass) {
  if (!pulls_ || !setup_.me().listens()) return {};
  const Variable entity = pass.results.at("entity");
  Tensor to = Tensor::zeros(setup_.device, entity.shape(), entity.dtype());
  std::vector<float> has(pass.rows.size());
  with_float_type(to.dtype(), [&]<class T>() {
    for (std::size_t r = 0; r < has.size(); ++r) {
      const std::int32_t key = key_of(pass.rows[r]);
      if (key < 0 || !known_[static_cast<std::size_t>(key)]) continue;
      has[r] = 1;
      const float* from = prototypes_.data() + static_cast<std::size_t>(key) * width_;
      std::copy(from, from + width_, to.data<T>() + r * width_);
    }
  });
  return setup_.options.proto.weight * pull_to_prototypes(entity, to, has);
}

std::vector<NamedTensor> Proto::state() const {
  std::vector<NamedTensor> out = gather_.state("proto", tasks());
  out.push_back({"proto.prototypes", DType::f32, {static_cast<std::int64_t>(keys_), setup_.options.width}, prototypes_.data()});
  out.push_back({"proto.known", DType::u8, {static_cast<std::int64_t>(keys_)}, known_.data()});
  return out;
}

void Proto::restore(const SafetensorsFile& file, const std::string&, const Tick& tick) {
  gather_.restore(file, "proto", tasks());
  const NamedTensor &prototypes = file.at("proto.prototypes"), &known = file.at("proto.known");
  if (prototypes.bytes() != prototypes_.size() * sizeof(float) || known.bytes() != known_.size())
    throw CheckpointError(file.path().string() + ": its prototypes are of other keys, or of another collab.width");
  std::memcpy(prototypes_.data(), prototypes.data, prototypes.bytes());
  std::memcpy(known_.data(), known.data, known.bytes());
  pulls_ = !tick.burns_in;
}

}  // namespace

void register_proto_strategy(Registry& registry) {
  registry.of<StrategyEntry>().add(
      "proto", {.help = "mean vectors of a common key's values (a segment, a week), to which vectors of rows are pulled",
                .needs_exporter = true,
                .make = [](const StrategySetup& s) -> std::unique_ptr<Strategy> { return std::make_unique<Proto>(s); }});
}

}  // namespace chorale
