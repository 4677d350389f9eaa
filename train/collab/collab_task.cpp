#include <chorale/train/collab/collab_task.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/core/nn/flat_params.hpp>
#include <chorale/train/collab/fold_rows.hpp>
#include <chorale/train/collab/guard_news.hpp>
#include <chorale/train/collab/own_features.hpp>
#include <chorale/train/collab/pinned_version.hpp>

namespace chorale {

namespace {

constexpr double kExporterWeight = 0.3;
constexpr double kNewGain = 0.05;
constexpr std::int64_t kVeryFewLabels = 200;              // with 300 of Adult, own layers that begin with the fusion do better
constexpr std::int64_t kManyLabels = 1000, kHidden = 32;  // from so many training rows on, the fusion has a hidden layer

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

CollabTask::CollabTask(Setup setup) : tasks_(setup.tasks), number_(setup.number), rows_(setup.rows), options_(setup.options) {
  const TaskInfo& me = tasks_[static_cast<std::size_t>(setup.number)];
  kinds_ = me.kinds;
  choose();
  for (const std::vector<EntityId>& by_row : rows_.entities) indexes_.push_back(index_entities(by_row, rows_.periods));
  if (has_vectors_) make_store(setup);
  if (setup.log && setup.task.rank() == 0 && fetched_ && options_.control == Control::none)
    warn_of(presence_leaks(*fetched_, *rows_.train), me.name, *setup.log);
  const bool is_new = rows_.train->rows() < kVeryFewLabels && me.role == TaskRole::target;
  if (!is_new) options_.plan.probe_ticks = 0;
  make_model(setup, is_new);
  train_ = with_shared(with_folds(rows_.train), fetched_.get(), options_);
  validation_ = with_shared(rows_.validation, fetched_.get(), options_);
  test_ = with_shared(rows_.test, fetched_.get(), options_);
  validation_entities_ = validation_entities();
  if (has_vectors_) make_publication(setup);
  affinity_ = std::make_unique<Affinity>(Affinity::Setup{.sharing = own_communicator(setup, "affinity"),
                                                         .task = setup.task,
                                                         .tasks = tasks_.size(),
                                                         .number = setup.number,
                                                         .rows = rows_,
                                                         .model = *model_,
                                                         .device = setup.device,
                                                         .dtype = setup.dtype,
                                                         .on_news = setup.on_news});
  sharing_ = std::make_unique<Sharing>(Sharing::Parts{.sharing = setup.sharing,
                                                      .task = setup.task,
                                                      .strategies = make_strategies(setup),
                                                      .publication = publication_.get(),
                                                      .affinity = affinity_.get(),
                                                      .news = [this] { return news(); },
                                                      .pinned = [this] { return pinned(); },
                                                      .wants_stop = setup.wants_stop,
                                                      .on_saved = setup.on_saved},
                                       options_.plan);
}

void CollabTask::choose() {
  register_all(registry_);
  for (const std::string& name : options_.strategies) {
    entries_.push_back(registry_.of<StrategyEntry>().at(name, "collab.strategy"));
    has_vectors_ = has_vectors_ || entries_.back().needs_vectors;
    has_exporters_ = has_exporters_ || entries_.back().needs_exporter;
    has_fusion_ = has_fusion_ || name == "store";
  }
}

Communicator& CollabTask::own_communicator(const Setup& setup, const std::string& name) {
  communicators_.push_back(setup.sharing.split(0, 0, name));
  return *communicators_.back();
}

TaskNews CollabTask::news() const {
  TaskNews out{.bytes = static_cast<std::int64_t>(bytes_sent()), .peers = model_->options().peers};
  for (std::int64_t peer = 0; peer < out.peers; ++peer) out.open_peers += model_->is_open(peer);
  return out;
}

std::uint64_t CollabTask::bytes_sent() const {
  std::uint64_t all = 0;
  for (const auto& each : communicators_) all += each->bytes_sent();
  all += sharing_->bytes_sent();
  return all;
}

/// That this task's exporters need; 0 where it does not publish out of fold.
std::int64_t CollabTask::folds() const {
  const TaskInfo& me = tasks_[static_cast<std::size_t>(number_)];
  return has_vectors_ && me.publishes() ? me.folds : 0;
}

std::shared_ptr<const Dataset> CollabTask::with_folds(std::shared_ptr<const Dataset> rows) const {
  return folds() > 0 ? std::make_shared<FoldRows>(std::move(rows), rows_.entities, folds()) : rows;
}

void CollabTask::make_model(Setup& setup, bool is_new) {
  const Shape in = row_shape(*rows_.train, "x");
  outputs_ = setup.own->output_shape(in).elements();
  const bool publishes = has_vectors_ && tasks_[static_cast<std::size_t>(setup.number)].publishes() && folds() == 0;
  const std::int64_t peers = has_fusion_ && fetched_ ? static_cast<std::int64_t>(fetched_->sources().size()) : 0;
  // A new task with few labels: first a head on what peers know, then its own layers as a residual.
  for (const StrategyEntry& entry : entries_)
    if (entry.change_layers) entry.change_layers(*setup.own, {setup.sharing, setup.task, tasks_, setup.number, in, options_});
  const bool has_few = rows_.train->rows() < kManyLabels, begins_with_fusion = is_new && peers > 0;
  model_ = std::make_unique<FusedModel>(std::move(setup.own), in,
                                        FusionOptions{.width = options_.width,
                                                      .exports = publishes || has_exporters_,
                                                      .exports_features = options_.exports_features,
                                                      .peers = peers,
                                                      .hidden = has_few ? 0 : kHidden,
                                                      .own_gain = begins_with_fusion ? kNewGain : 1,
                                                      .starts_at_zero = !begins_with_fusion});
  if (folds() > 0) {
    auto exporters = std::make_unique<FoldExporters>(setup.another, in,
                                                     FoldOptions{.kinds = static_cast<std::int64_t>(kinds_.size()),
                                                                 .folds = folds(),
                                                                 .width = options_.width,
                                                                 .exports_features = options_.exports_features});
    fold_exporters_ = exporters.get();
    model_->train_beside("folds", std::move(exporters));
  }
  if (options_.control == Control::untrained && tasks_[static_cast<std::size_t>(setup.number)].publishes())
    untrained_ = std::make_unique<Untrained>(setup.another(), in, options_, setup.device, setup.dtype);
}

void CollabTask::make_publication(Setup& setup) {
  publication_ = std::make_unique<Publication>(Publication::Parts{.task = setup.task,
                                                                  .store = *store_,
                                                                  .model = *model_,
                                                                  .device = setup.device,
                                                                  .dtype = setup.dtype,
                                                                  .untrained = untrained_ ? &untrained_->model : nullptr,
                                                                  .folds = untrained_ ? nullptr : fold_exporters_,
                                                                  .fetched = fetched_.get(),
                                                                  .publisher = publisher_of_[static_cast<std::size_t>(setup.number)],
                                                                  .train = rows_.train,
                                                                  .all = with_folds(rows_.all),
                                                                  .entities = std::move(published_),
                                                                  .virtual_workers = setup.virtual_workers,
                                                                  .sweep_ticks = options_.plan.sweep_ticks,
                                                                  .clip = options_.clip,
                                                                  .noise = options_.noise,
                                                                  .noise_seed = options_.noise_seed});
}

std::vector<std::unique_ptr<Strategy>> CollabTask::make_strategies(const Setup& setup) {
  std::vector<std::unique_ptr<Strategy>> out;
  for (std::size_t s = 0; s < entries_.size(); ++s)
    out.push_back(entries_[s].make({.sharing = own_communicator(setup, options_.strategies[s]),
                                    .task = setup.task,
                                    .tasks = tasks_,
                                    .number = setup.number,
                                    .rows = rows_,
                                    .all = with_shared(rows_.all, fetched_.get(), options_),
                                    .validation = validation_,
                                    .validation_entities = validation_entities_,
                                    .model = *model_,
                                    .loss = setup.loss,
                                    .device = setup.device,
                                    .dtype = setup.dtype,
                                    .outputs = outputs_,
                                    .virtual_workers = setup.virtual_workers,
                                    .options = options_,
                                    .publication = publication_.get(),
                                    .untrained = untrained_ ? &untrained_->model : nullptr,
                                    .on_guard = guard_speaker(setup),
                                    .say = speaker(setup),
                                    .another = setup.another,
                                    .on_heard = leak_seeker(setup)}));
  return out;
}

std::vector<std::int64_t> CollabTask::validation_entities() const {
  std::vector<std::int64_t> out;
  if (!rows_.validation || indexes_.empty()) return out;
  for (std::int64_t row = 0; row < rows_.validation->rows(); ++row) {
    const std::int32_t entity = indexes_[0].of_row[static_cast<std::size_t>(rows_.validation->row_id(row))];
    out.push_back(entity >= 0 ? indexes_[0].first_of(entity) : -1 - row);  // nobody's rows stand alone
  }
  return out;
}

std::function<void(const std::string&)> CollabTask::speaker(const Setup& setup) const {
  if (!setup.log || setup.task.rank() != 0) return {};
  return
      [log = setup.log, me = tasks_[static_cast<std::size_t>(setup.number)].name](const std::string& text) { log->info(me + ", " + text); };
}

std::function<void(const GuardEvent&)> CollabTask::guard_speaker(const Setup& setup) {
  if (!setup.log || setup.task.rank() != 0 || !fetched_) return {};
  std::vector<GuardNews::Source> sources;
  for (const FetchSource& source : fetched_->sources())
    sources.push_back({store_->tasks()[static_cast<std::size_t>(source.publisher)], source.kind});
  guard_news_ = std::make_unique<GuardNews>(*setup.log, tasks_[static_cast<std::size_t>(setup.number)].name, std::move(sources));
  return [this](const GuardEvent& event) { guard_news_->hear(event); };
}

void CollabTask::say_end() {
  if (guard_news_) guard_news_->end();
}

/// Of a control there is nothing to say: it is to tell nothing.
std::function<void()> CollabTask::leak_seeker(const Setup& setup) {
  if (!setup.log || setup.task.rank() != 0 || !fetched_ || options_.control != Control::none) return {};
  return [this, log = setup.log, me = tasks_[static_cast<std::size_t>(setup.number)].name] {
    warn_of(vector_leaks(*fetched_, *rows_.train), me, *log);
  };
}

void CollabTask::warn_of(const std::vector<Leak>& leaks, const std::string& me, Log& log) {
  for (const Leak& leak : leaks) {
    const FetchSource& source = fetched_->sources()[static_cast<std::size_t>(leak.source)];
    const std::string& peer = store_->tasks()[static_cast<std::size_t>(source.publisher)];
    const auto who = std::find_if(tasks_.begin(), tasks_.end(), [&](const TaskInfo& task) { return task.name == peer; });
    log.warning(leak_text(leak, me, peer, source.kind, who->folds));
    leaks_.push_back(leak);
  }
}

std::string CollabTask::pinned() const {
  PinnedVersion out{.tick = sharing_->ticks(),
                    .width = options_.width,
                    .strategies = options_.strategies,
                    .has_time = false,
                    .fusion = model_->options(),
                    .kinds = kinds_,
                    .sources = {},
                    .best = {},
                    .last = {}};
  for (const EntityIndex& index : indexes_) out.has_time = out.has_time || !index.periods.empty();
  if (model_->options().peers == 0) return out.to_json();
  for (const FetchSource& source : fetched_->sources())
    out.sources.push_back({store_->tasks()[static_cast<std::size_t>(source.publisher)], source.kind});
  out.best = {fetched_->kept_version(), fetched_->kept_hash(), sharing_->kept_open()};
  out.last = {fetched_->version(), fetched_->hash(), {}};
  for (std::int64_t peer = 0; peer < model_->options().peers; ++peer) out.last.open.push_back(model_->is_open(peer));
  return out.to_json();
}

std::vector<Aim> CollabTask::aims() const {
  std::vector<Aim> out;
  if (model_->options().exports) out.push_back({"entity_y", kExporterWeight});
  for (std::int64_t kind = 0; folds() > 0 && kind < static_cast<std::int64_t>(kinds_.size()); ++kind)
    for (std::int64_t fold = 0; fold < folds(); ++fold) {
      // The rows of the fold count in the mean, and say nothing.
      const double others = static_cast<double>(folds()) / static_cast<double>(folds() - 1);
      out.push_back({FoldExporters::result("fold_y", kind, fold), others});
      out.push_back({FoldExporters::result("fold_entity_y", kind, fold), kExporterWeight * others});
    }
  return out;
}

}  // namespace chorale
