#include <chorale/launcher/collab/trial_plan.hpp>

#include <algorithm>
#include <cstring>
#include <numeric>

#include <chorale/core/base/random.hpp>
#include <chorale/launcher/collab/joint_trial.hpp>
#include <chorale/launcher/collab/pooled_rows.hpp>
#include <chorale/launcher/collab/task_config.hpp>
#include <chorale/launcher/collab/trial.hpp>

namespace chorale {

namespace {

constexpr std::uint64_t kOrder = 0x6F72646572u, kLabels = 0x6C6162656Cu;

std::shared_ptr<const MatrixDataset> part_of(const FeatureMatrix& matrix, std::span<const std::int64_t> rows) {
  return std::make_shared<MatrixDataset>(matrix, std::vector<std::int64_t>(rows.begin(), rows.end()));
}

/// `count` rows of a part, drawn by the seed; they keep their order.
std::shared_ptr<const MatrixDataset> some_rows(const MatrixDataset& from, std::int64_t count, std::uint64_t seed) {
  std::vector<std::pair<std::uint64_t, std::int64_t>> drawn;
  for (const std::int64_t row : from.row_numbers()) drawn.emplace_back(mix(mix(seed, kLabels), static_cast<std::uint64_t>(row)), row);
  std::sort(drawn.begin(), drawn.end());
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < std::min<std::int64_t>(count, from.rows()); ++i) rows.push_back(drawn[static_cast<std::size_t>(i)].second);
  std::sort(rows.begin(), rows.end());
  return std::make_shared<MatrixDataset>(from.matrix(), std::move(rows));
}

/// Task t with the raw columns of all peers beside its own.
FeatureMatrix pooled_matrix(const TrialData& all, std::size_t t) {
  const PreparedData& data = all.task(t).data;
  const std::vector<TaskInfo>& infos = all.infos();
  std::vector<PooledPeer> peers;
  std::vector<std::vector<EntityId>> own;
  for (std::size_t p = 0; p < all.size(); ++p) {
    if (p == t || !infos[p].publishes()) continue;
    for (std::size_t k = 0; k < infos[t].kinds.size(); ++k) {
      const auto it = std::find(infos[p].kinds.begin(), infos[p].kinds.end(), infos[t].kinds[k]);
      if (it == infos[p].kinds.end()) continue;
      const PreparedData& peer = all.task(p).data;
      peers.push_back({peer.train->matrix(), peer.entities[static_cast<std::size_t>(it - infos[p].kinds.begin())], peer.periods});
      own.push_back(data.entities[k]);
    }
  }
  return pool_features(data.train->matrix(), own, data.periods, peers);
}

/// The same rows in a drawn order, each said to be about the entity that stood in its place.
std::shared_ptr<const MatrixDataset> in_other_order(const MatrixDataset& part, std::uint64_t seed, const TaskRows& from, TaskRows& to) {
  std::vector<std::int64_t> rows(part.row_numbers().begin(), part.row_numbers().end());
  RandomStream random(mix(seed, kOrder));
  for (std::size_t i = rows.size(); i > 1; --i) std::swap(rows[i - 1], rows[random.below(i)]);
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t k = 0; k < from.entities.size(); ++k)
      to.entities[k][static_cast<std::size_t>(rows[i])] = from.entities[k][static_cast<std::size_t>(part.row_numbers()[i])];
  return std::make_shared<MatrixDataset>(part.matrix(), std::move(rows));
}

/// A part whose rows have each other's labels: those of the same part, in a drawn order.
class OthersLabels final : public Dataset {
 public:
  OthersLabels(std::shared_ptr<const Dataset> rows, std::uint64_t seed)
      : rows_(std::move(rows)), whose_(static_cast<std::size_t>(rows_->rows())) {
    std::iota(whose_.begin(), whose_.end(), std::int64_t{0});
    RandomStream random(mix(seed, kLabels));
    for (std::size_t i = whose_.size(); i > 1; --i) std::swap(whose_[i - 1], whose_[random.below(i)]);
  }
  std::int64_t rows() const override { return rows_->rows(); }
  const std::vector<Field>& fields() const override { return rows_->fields(); }
  void gather(int field, std::span<const std::int64_t> rows, void* out) const override {
    if (fields()[static_cast<std::size_t>(field)].name != "target") return rows_->gather(field, rows, out);
    std::vector<std::int64_t> of;
    for (const std::int64_t row : rows) of.push_back(whose_[static_cast<std::size_t>(row)]);
    rows_->gather(field, of, out);
  }
  std::span<const double> costs() const override { return rows_->costs(); }
  std::int64_t row_id(std::int64_t row) const override { return rows_->row_id(row); }

 private:
  std::shared_ptr<const Dataset> rows_;
  std::vector<std::int64_t> whose_;
};

}  // namespace

TrialPlan plan_trial(const TrialData& all, const StudyKey& key) {
  check_arm(key.arm);
  const CollabRecipe& recipe = all.recipe();
  const std::vector<TaskInfo>& infos = all.infos();
  TrialPlan plan{.key = key,
                 .per_tick = recipe.pinned_steps(),
                 .rows = {},
                 .features = {},
                 .ticks = {},
                 .shares = key.arm != "alone" && key.arm != "pooled" && !is_joint(key.arm)};
  if (plan.per_tick.empty() || key.every != recipe.settings.every) plan.per_tick.assign(all.size(), key.every);
  const bool has_targets = std::any_of(infos.begin(), infos.end(), [](const TaskInfo& i) { return i.role == TaskRole::target; });
  // Equal steps in all arms: those that the tasks would make with all of their labels.
  std::vector<std::int64_t> steps;
  std::vector<bool> late;
  for (std::size_t t = 0; t < all.size(); ++t) {
    const TrialTask& task = all.task(t);
    const PreparedData& data = task.data;
    TaskRows rows = task_rows(data);
    plan.features.push_back(data.pipeline.features());
    if (key.arm == "disjoint") rows.train = std::make_shared<MatrixDataset>(data.train->matrix(), task.disjoint_rows);
    if (key.arm == "pooled" && infos[t].listens()) {
      const FeatureMatrix matrix = pooled_matrix(all, t);
      rows.train = part_of(matrix, data.train->row_numbers()), rows.validation = part_of(matrix, data.validation->row_numbers());
      rows.test = part_of(matrix, data.test->row_numbers());
      plan.features.back() = matrix.features;
    }
    if (key.labels != kAllLabels && (infos[t].role == TaskRole::target || !has_targets))
      rows.train = some_rows(dynamic_cast<const MatrixDataset&>(*rows.train), key.labels, key.seed);
    plan.rows.push_back(std::move(rows));
    steps.push_back(own_steps(recipe.tasks[t]->settings.train, data.train->rows()));
    late.push_back(infos[t].role == TaskRole::target);
  }
  plan.ticks = count_ticks(steps, plan.per_tick, late, recipe.settings.burn_in);
  return plan;
}

TaskRows rows_of_seat(const TrialPlan& plan, const Seat& seat, std::size_t place) {
  const TaskRows& own = plan.rows[seat.task];
  TaskRows out = own;
  const std::uint64_t seed = mix(plan.key.seed, place);
  if (seat.has_others_labels) out.train = std::make_shared<OthersLabels>(own.train, seed);
  if (!seat.meets_other_entities) return out;
  const auto mixed = [&](const std::shared_ptr<const Dataset>& part, std::uint64_t number) -> std::shared_ptr<const Dataset> {
    return part ? in_other_order(dynamic_cast<const MatrixDataset&>(*part), mix(seed, number), own, out) : nullptr;
  };
  out.train = mixed(own.train, 1), out.validation = mixed(own.validation, 2), out.test = mixed(own.test, 3);
  return out;
}

}  // namespace chorale
