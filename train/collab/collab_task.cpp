#include <chorale/train/collab/collab_task.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/core/nn/flat_params.hpp>
#include <chorale/train/collab/own_features.hpp>
#include <chorale/train/data/together.hpp>

namespace chorale {

namespace {

constexpr std::array<std::string_view, 3> kRoles = {"both", "peer", "target"};
constexpr double kExporterWeight = 0.3;
constexpr double kNewGain = 0.05;
constexpr std::int64_t kVeryFewLabels = 200;              // with 300 of Adult, own layers that begin with the fusion do better
constexpr std::int64_t kManyLabels = 1000, kHidden = 32;  // from so many training rows on, the fusion has a hidden layer

/// One permutation of a publisher's rows for a control: the same for all listeners.
std::vector<std::int32_t> shuffled(std::size_t count, std::uint64_t seed) {
  std::vector<std::int32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  RandomStream random(mix(seed, 0x73687566u));
  for (std::size_t i = count; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

std::shared_ptr<const Dataset> with_shared(std::shared_ptr<const Dataset> rows, const FetchedRows* fetched, const CollabOptions& o) {
  if (!fetched || !rows || rows->rows() == 0) return rows;
  if (o.control == Control::matched) return std::make_shared<OwnFeatures>(std::move(rows), fetched->columns(), o.width, o.control_seed);
  return std::make_shared<SharedDataset>(std::move(rows), *fetched);
}

Shape row_shape(const Dataset& rows, std::string_view field) {
  for (const Field& f : rows.fields())
    if (f.name == field) return f.row_shape;
  throw UsageError("rows without \"" + std::string(field) + "\" cannot be shared about");
}

}  // namespace

std::string_view name(TaskRole role) { return kRoles[static_cast<std::size_t>(role)]; }

TaskRole parse_role(std::string_view text) {
  const auto it = std::find(kRoles.begin(), kRoles.end(), text);
  if (it == kRoles.end()) throw UsageError("role '" + std::string(text) + "' is unknown; allowed: both peer target");
  return static_cast<TaskRole>(it - kRoles.begin());
}

std::vector<int> lay_out(const std::vector<TaskInfo>& tasks, int world) {
  std::vector<int> out;
  for (std::size_t t = 0; t < tasks.size(); ++t) out.insert(out.end(), static_cast<std::size_t>(tasks[t].ranks), static_cast<int>(t));
  if (static_cast<int>(out.size()) == world) return out;
  std::string text;
  for (const TaskInfo& task : tasks) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", task.name, task.ranks);
  throw UsageError(fmt::format("the tasks have {} ranks ({}), the run has {}; start it with -n {}, or change task.NAME.ranks", out.size(),
                               text, world, out.size()));
}

/// A model that publishes as it was drawn.
struct CollabTask::Untrained {
  Untrained(std::unique_ptr<Sequential> own, const Shape& in, const CollabOptions& o, Device& device, DType dtype)
      : model(std::move(own), in, {.width = o.width, .exports_features = o.exports_features}), params(model, device, dtype) {
    memory = Tensor::zeros(device, {params.elements()}, dtype);
    params.bind(memory.buffer());
    params.initialise(o.control_seed, "torch");
  }
  FusedModel model;
  FlatParams params;
  Tensor memory;
};

CollabTask::~CollabTask() = default;

CollabTask::CollabTask(Setup setup) {
  const TaskInfo& me = setup.tasks[static_cast<std::size_t>(setup.number)];
  for (const std::vector<EntityId>& by_row : setup.rows.entities) indexes_.push_back(index_entities(by_row));
  for (const TaskInfo& task : setup.tasks) {
    int publishers = 0;
    for (const int p : publisher_of_) publishers += p >= 0;
    publisher_of_.push_back(task.publishes() ? publishers : -1);
  }
  store_ = std::make_unique<Store>(setup.sharing, gather_publishers(setup), StoreOptions{setup.options.width, setup.options.keep});
  std::vector<FetchSource> sources;
  together(setup.sharing, "sources of sharing", [&](std::int64_t& position) {
    position = setup.number;
    if (me.listens()) sources = sources_of(setup);
  });
  const auto peers = static_cast<std::int64_t>(sources.size());
  if (peers > 0) fetched_ = std::make_unique<FetchedRows>(*store_, std::move(sources));
  const Shape in = row_shape(*setup.rows.train, "x");
  // A new task with few labels: first a head on what peers know, then its own layers as a residual.
  const bool has_few = setup.rows.train->rows() < kManyLabels;
  const bool is_new = setup.rows.train->rows() < kVeryFewLabels && me.role == TaskRole::target;
  model_ = std::make_unique<FusedModel>(std::move(setup.own), in,
                                        FusionOptions{.width = setup.options.width,
                                                      .exports = me.publishes(),
                                                      .exports_features = setup.options.exports_features,
                                                      .peers = peers,
                                                      .hidden = has_few ? 0 : kHidden,
                                                      .own_gain = is_new ? kNewGain : 1,
                                                      .starts_at_zero = !is_new});
  train_ = with_shared(setup.rows.train, fetched_.get(), setup.options);
  validation_ = with_shared(setup.rows.validation, fetched_.get(), setup.options);
  test_ = with_shared(setup.rows.test, fetched_.get(), setup.options);
  if (setup.options.control == Control::untrained && me.publishes())
    untrained_ = std::make_unique<Untrained>(std::move(setup.untrained), in, setup.options, setup.device, setup.dtype);
  const int publisher = publisher_of_[static_cast<std::size_t>(setup.number)];
  std::vector<std::vector<std::int32_t>> published;
  for (const EntityIndex& index : indexes_) {
    if (publisher < 0) break;
    const std::vector<std::int32_t> position = positions_of(index.ids, store_->publishers()[static_cast<std::size_t>(publisher)].ids);
    std::vector<std::int32_t>& by_row = published.emplace_back(index.of_row);
    for (std::int32_t& entity : by_row)
      if (entity >= 0) entity = position[static_cast<std::size_t>(entity)];
  }
  if (!is_new) setup.options.plan.probe_ticks = 0;
  sharing_ = std::make_unique<Sharing>(Sharing::Parts{.task = setup.task,
                                                      .store = *store_,
                                                      .model = *model_,
                                                      .device = setup.device,
                                                      .dtype = setup.dtype,
                                                      .untrained = untrained_ ? &untrained_->model : nullptr,
                                                      .fetched = fetched_.get(),
                                                      .kinds = me.kinds,
                                                      .publisher = publisher,
                                                      .train = setup.rows.train,
                                                      .all = setup.rows.all,
                                                      .entities = std::move(published),
                                                      .virtual_workers = setup.virtual_workers,
                                                      .wants_stop = setup.wants_stop,
                                                      .on_saved = setup.on_saved,
                                                      .loss = setup.options.guard ? &setup.loss : nullptr,
                                                      .validation = validation_,
                                                      .validation_entities = validation_entities(setup),
                                                      .on_guard = guard_speaker(setup)},
                                       setup.options.plan);
}

std::vector<std::int64_t> CollabTask::validation_entities(const Setup& setup) const {
  std::vector<std::int64_t> out;
  if (!setup.rows.validation || indexes_.empty()) return out;
  for (std::int64_t row = 0; row < setup.rows.validation->rows(); ++row) {
    const std::int32_t entity = indexes_[0].of_row[static_cast<std::size_t>(setup.rows.validation->row_id(row))];
    out.push_back(entity >= 0 ? entity : -1 - row);  // nobody's rows stand alone
  }
  return out;
}

std::function<void(const GuardEvent&)> CollabTask::guard_speaker(const Setup& setup) const {
  if (!setup.log || setup.task.rank() != 0 || !fetched_) return {};
  return [this, log = setup.log, me = setup.tasks[static_cast<std::size_t>(setup.number)].name](const GuardEvent& e) {
    const FetchSource& source = fetched_->sources()[static_cast<std::size_t>(e.source)];
    const std::string& peer = store_->publishers()[static_cast<std::size_t>(source.publisher)].task;
    if (e.opens)
      log->info(fmt::format("{} tries again what {} says about {}s (validation {})", me, peer, source.kind, e.validation));
    else
      log->info(fmt::format("{} no longer hears {} about {}s: its validation loss is {:.2g} +- {:.2g} higher with it ({} entities)", me,
                            peer, source.kind, -e.benefit.mean, e.benefit.error, e.benefit.entities));
  };
}

std::vector<Publisher> CollabTask::gather_publishers(const Setup& setup) const {
  std::vector<Publisher> out;
  std::vector<std::int64_t> task_of(static_cast<std::size_t>(setup.sharing.size()));
  std::int64_t mine = setup.number;
  const std::vector<std::int64_t> one(task_of.size(), 1);
  setup.sharing.all_gather(buffer_of(std::span(&mine, 1)), buffer_of(std::span(task_of)), one, "tasks of ranks").wait();
  for (std::size_t t = 0; t < setup.tasks.size(); ++t) {
    const TaskInfo& task = setup.tasks[t];
    const int root = static_cast<int>(std::find(task_of.begin(), task_of.end(), static_cast<std::int64_t>(t)) - task_of.begin());
    std::vector<EntityId> ids;
    if (setup.sharing.rank() == root)
      for (const EntityIndex& index : indexes_) ids.insert(ids.end(), index.ids.begin(), index.ids.end());
    std::sort(ids.begin(), ids.end());
    if (task.publishes()) {
      const std::vector<std::byte> bytes = broadcast_bytes(setup.sharing, std::as_bytes(std::span(ids)), root, "entities of a task");
      ids.resize(bytes.size() / sizeof(EntityId));
      std::memcpy(ids.data(), bytes.data(), bytes.size());
      out.push_back({task.name, std::move(ids)});
    }
  }
  return out;
}

std::vector<FetchSource> CollabTask::sources_of(const Setup& setup) const {
  const TaskInfo& me = setup.tasks[static_cast<std::size_t>(setup.number)];
  std::vector<FetchSource> out;
  for (std::size_t t = 0; t < setup.tasks.size(); ++t) {
    const TaskInfo& peer = setup.tasks[t];
    if (static_cast<int>(t) == setup.number || !peer.publishes()) continue;
    const int publisher = publisher_of_[t];
    const std::vector<EntityId>& ids = store_->publishers()[static_cast<std::size_t>(publisher)].ids;
    for (std::size_t k = 0; k < me.kinds.size(); ++k) {
      if (std::find(peer.kinds.begin(), peer.kinds.end(), me.kinds[k]) == peer.kinds.end()) continue;
      FetchSource source{.publisher = publisher,
                         .kind = me.kinds[k],
                         .of_row = indexes_[k].of_row,
                         .positions = positions_of(indexes_[k].ids, ids),
                         .ids = indexes_[k].ids};
      const auto matched = std::count_if(source.positions.begin(), source.positions.end(), [](std::int32_t p) { return p >= 0; });
      if (matched == 0)
        throw DataError(
            fmt::format("tasks {} and {} have no {} in common: none of {} keys of the one is among those of the other, for "
                        "instance because one table writes 17 and the other C17; see task.NAME.entity",
                        me.name, peer.name, me.kinds[k], source.positions.size()));
      if (setup.options.control == Control::shuffled) {
        const std::vector<std::int32_t> other =
            shuffled(ids.size(), mix(setup.options.control_seed, static_cast<std::uint64_t>(publisher)));
        for (std::int32_t& position : source.positions)
          if (position >= 0) position = other[static_cast<std::size_t>(position)];
      }
      if (setup.log && setup.task.rank() == 0)
        setup.log->info(
            fmt::format("{} hears {} about {} of its {} {}s", me.name, peer.name, matched, source.positions.size(), me.kinds[k]));
      out.push_back(std::move(source));
    }
  }
  if (out.empty())
    throw UsageError(
        fmt::format("task {} has no kind of entity in common with another task that publishes; name one in task.{}.entity, set "
                    "task.{}.role = peer where it shall only publish, or take the task out",
                    me.name, me.name, me.name));
  return out;
}

std::vector<Aim> CollabTask::aims() const {
  if (!model_->options().exports) return {};
  return {{"entity_y", kExporterWeight}};
}

}  // namespace chorale
