#include <chorale/train/data/prepare.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/option.hpp>
#include <chorale/core/data/encode.hpp>
#include <chorale/core/loss/loss.hpp>
#include <chorale/train/data/bad_rows.hpp>
#include <chorale/train/data/matrix_store.hpp>
#include <chorale/core/data/memory_budget.hpp>
#include <chorale/core/data/target_words.hpp>
#include <chorale/train/data/reader.hpp>
#include <chorale/train/data/shared_table.hpp>

namespace chorale {

namespace {

using Clock = std::chrono::steady_clock;

class Preparation {
 public:
  Preparation(const DataOptions& data, const TrainOptions& train, const EntityRequest& entities, Communicator& comm,
              const Registry& registry, std::shared_ptr<Representations> published)
      : published_(std::move(published)),
        registry_(registry),
        data_(data),
        train_(train),
        request_(entities),
        comm_(comm),
        budget_(memory_budget(data.memory)),
        // Half of the budget for the matrix, half for parsed pieces, which the ranks of a node share out.
        table_(data, {.keep_bytes = budget_ / 2 / comm.node().size(), .spill_directory = {}, .known = {}}, comm) {}

  PreparedData run(Log& log, Clock::time_point start) {
    PreparedData out;
    const TablePlan& plan = table_.plan();
    out.read_seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (comm_.rank() == 0) warn_of_bad_rows(plan, data_, log);
    preprocess_ = make_plan(data_, plan.schema, target_kinds(train_.loss, target_names(data_.target), registry_));
    read_entities(out);
    read_times(out);
    check_entities(out);
    split(out);
    fit(out);
    if (published_) publish(out, log);
    encode(out, log);
    out.rows = plan.rows;
    return out;
  }

 private:
  void read_entities(PreparedData& out) {
    for (const EntityColumn& entity : request_.columns) {
      out.entities.push_back(ids_of(entity));
      if (entity.kind == request_.key) out.key = out.entities.back();
    }
    if (!request_.key.empty() && out.key.empty()) out.key = ids_of({.kind = request_.key, .column = request_.key});
  }

  std::vector<EntityId> ids_of(const EntityColumn& entity) {
    if (entity.column.empty()) {
      std::vector<EntityId> ids;
      for (std::int64_t row = 1; row <= table_.plan().rows; ++row) ids.push_back(entity_id(entity.kind, std::to_string(row)));
      return ids;
    }
    const Schema& schema = table_.plan().schema;
    const int column = column_at(schema, entity.column, "entity " + entity.kind);
    const ColumnType type = schema[static_cast<std::size_t>(column)].type;
    return table_.row_values("entities", [&](const TableChunk& chunk) {
      return entity_ids(entity.kind, chunk.columns[static_cast<std::size_t>(column)], chunk.rows, type);
    });
  }

  void check_entities(const PreparedData& out) {
    std::vector<int> read;
    for (const ColumnPlan& column : preprocess_.features) read.push_back(column.source);
    for (const TargetPlan& target : preprocess_.targets) read.push_back(target.source);
    for (std::size_t e = 0; e < request_.columns.size(); ++e)
      check_repeats(comm_, table_,
                    {request_.columns[e].kind, request_.columns[e].column, out.entities[e], out.periods, read, request_.repeats});
  }

  void publish(PreparedData& out, Log& log) {
    const Schema& schema = table_.plan().schema;
    out.pipeline.published = published_->features();
    const auto& [run, kind, key, tasks, width, version] = out.pipeline.published;
    std::vector<EntityId> ids;
    if (key.empty())
      for (std::int64_t row = 1; row <= table_.plan().rows; ++row) ids.push_back(entity_id(kind, std::to_string(row)));
    const int column = key.empty() ? -1 : column_at(schema, key, "data.representations");
    if (column >= 0)
      ids = table_.row_values("entities", [&](const TableChunk& chunk) {
        return entity_ids(out.pipeline.published.kind, chunk.columns[static_cast<std::size_t>(column)], chunk.rows,
                          schema[static_cast<std::size_t>(column)].type);
      });
    const auto rows = static_cast<std::int64_t>(ids.size());
    published_->set_entities(std::move(ids));
    if (comm_.rank() == 0) log.info("data.representations, " + version + ": " + published_->coverage());
    if (published_->is_there() && published_->unseen() == rows)
      throw DataError("data.representations: none of " + std::to_string(rows) + " rows has a " + kind + " of which " + run +
                      " has published anything; is '" + (key.empty() ? "the row's number" : key) + "' its key, and '" + kind +
                      "' the kind?");
  }

  /// The time is a key, as an entity is, and no feature.
  void read_times(PreparedData& out) {
    if (request_.time.column.empty()) return;
    const auto column = static_cast<std::size_t>(column_at(table_.plan().schema, request_.time.column, "collab.time"));
    const RowTimes rows = row_times(table_, request_.time);
    out.periods = rows.periods(), out.scale_before = rows.first_after_training();
    if (!request_.time.cutoffs.empty()) parts_ = rows.parts();
    for (const TargetPlan& target : preprocess_.targets)
      if (target.source == static_cast<int>(column)) throw UsageError("collab.time: column '" + request_.time.column + "' is the target");
    std::erase_if(preprocess_.features, [&](const ColumnPlan& c) { return c.source == static_cast<int>(column); });
    if (preprocess_.features.empty()) throw DataError("no column but that of collab.time is left as a feature");
  }

  void split(const PreparedData& out) {
    if (!data_.fold.empty() && (!request_.time.cutoffs.empty() || !request_.split_kind.empty()))
      throw UsageError("data.fold does nothing where collab.split cuts the rows; remove it");
    if (!request_.time.cutoffs.empty()) return check_parts_by_time();
    if (!request_.split_kind.empty()) return split_by_entity(out);
    const SplitRule rule = parse_split(data_.split, data_.fold);
    std::vector<std::uint64_t> keys;
    if (rule.needs_keys()) {
      const int column = rule.kind == SplitRule::Kind::stratified ? preprocess_.targets[0].source : preprocess_.split;
      const ColumnType type = table_.plan().schema[static_cast<std::size_t>(column)].type;
      keys = table_.row_values("split keys", [&](const TableChunk& chunk) { return split_keys(rule, chunk, column, type); });
    }
    parts_ = assign_parts(rule, static_cast<std::uint64_t>(data_.split_seed), table_.plan().rows, keys);
  }

  void split_by_entity(const PreparedData& out) {
    std::size_t which = 0;
    while (which < request_.columns.size() && request_.columns[which].kind != request_.split_kind) ++which;
    if (which == request_.columns.size())
      throw UsageError("the split goes by '" + request_.split_kind + "', which is no entity of this task; name one that it has");
    parts_ = parts_by_key(out.entities[which], request_.share, request_.seed);
    for (const Part part : {Part::train, Part::validation, Part::test})
      if (request_.share[static_cast<std::size_t>(part)] > 0 && std::find(parts_.begin(), parts_.end(), part) == parts_.end())
        throw DataError("the split by '" + request_.split_kind + "' leaves no row for " + std::string(name(part)) + ": there are " +
                        std::to_string(index_entities(out.entities[which]).ids.size()) +
                        " entities; give that part a larger share, or split by another kind");
  }

  void check_parts_by_time() const {
    for (const Part part : {Part::train, Part::validation, Part::test})
      if (std::find(parts_.begin(), parts_.end(), part) == parts_.end())
        throw DataError(table_.place_of(request_.time.column) + ": the cut-offs " + list_text(request_.time.cutoffs) +
                        " leave no row for " + std::string(name(part)) + "; give collab.split others");
  }

  void fit(PreparedData& out) {
    const std::int64_t rows = table_.plan().rows;
    FitState state(preprocess_, rows), all(preprocess_, rows);
    table_.each_piece("fitting", [&](std::int64_t, const TableChunk& chunk) {
      state.update(chunk,
                   std::span<const Part>(parts_).subspan(static_cast<std::size_t>(chunk.first_row), static_cast<std::size_t>(chunk.rows)));
    });
    for (const auto& bytes : all_gather_bytes(comm_, state.state(), "fitted states")) all.merge(bytes);
    try {
      out.pipeline = fit_pipeline(preprocess_, all);
    } catch (const DataError& error) {  // all that fitting refuses is a target that cannot be learnt
      const std::vector<std::string> targets = target_names(data_.target);
      const auto of = std::find_if(targets.begin(), targets.end(), [&](const std::string& name) {
        return std::string_view(error.what()).find("column '" + name + "' ") != std::string_view::npos;
      });
      throw DataError(table_.place_of(of == targets.end() ? targets[0] : *of) + ": " + error.what());
    }
    if (!request_.time.cutoffs.empty())
      out.pipeline.split = fmt::format("time {} {}", request_.time.column, list_text(request_.time.cutoffs));
    else if (!request_.split_kind.empty())
      out.pipeline.split = fmt::format("entity {} {} {} {}", request_.split_kind, request_.share[0], request_.share[1], request_.share[2]);
    else
      out.pipeline.split = list_text(data_.split) + (data_.fold.empty() ? "" : ", fold " + data_.fold);
    out.pipeline.split_seed = data_.split_seed;
  }

  void encode(PreparedData& out, Log& log) {
    const MatrixShape shape{.rows = table_.plan().rows,
                            .features = out.pipeline.features(),
                            .targets = target_fields(target_names(data_.target)),
                            .weight = preprocess_.weight >= 0,
                            .dtype = parse_dtype(train_.dtype)};
    MatrixStore store(comm_, shape, budget_ / 2, {});
    if (!store.is_in_memory() && comm_.rank() == 0)
      log.info(fmt::format("the feature matrix of {} goes to a file: half of data.memory is {}", bytes_text(shape.bytes()),
                           bytes_text(budget_ / 2)));
    const Encoder encoder(out.pipeline, table_.plan().schema, published_.get());
    table_.each_piece_on_node("encoding", [&](std::int64_t, const TableChunk& chunk) { store.write(encoder, chunk); });
    const FeatureMatrix matrix = store.finish();
    std::shared_ptr<MatrixDataset>* sets[] = {&out.train, &out.validation, &out.test};
    for (const Part part : {Part::train, Part::validation, Part::test})
      *sets[static_cast<int>(part)] = std::make_shared<MatrixDataset>(matrix, rows_of(parts_, part));
  }

  std::shared_ptr<Representations> published_;
  const Registry& registry_;
  const DataOptions& data_;
  const TrainOptions& train_;
  const EntityRequest& request_;
  Communicator& comm_;
  std::int64_t budget_;
  SharedTable table_;
  PreprocessPlan preprocess_;
  std::vector<Part> parts_;
};

}  // namespace

std::string PreparedData::identity() const { return rows_identity(rows, pipeline); }

TargetKind target_kind(const std::string& loss, const Registry& registry) {
  const Loss::Task task = registry.of<LossEntry>().at(loss, "loss").task;
  return task == Loss::Task::binary ? TargetKind::binary : task == Loss::Task::classes ? TargetKind::classes : TargetKind::value;
}

std::vector<TargetKind> target_kinds(const std::string& losses, const std::vector<std::string>& targets, const Registry& registry) {
  std::vector<TargetKind> out;
  for (std::size_t t = 0; t < targets.size(); ++t) out.push_back(target_kind(loss_of_target(losses, targets, t), registry));
  return out;
}

PreparedData prepare_data(const DataOptions& data, const TrainOptions& train, Communicator& comm, Log& log, const Registry& registry,
                          const EntityRequest& entities, std::shared_ptr<Representations> published) {
  if (data.format != "csv")
    throw UsageError("data.format = " + data.format + " holds no table, and tasks that share need one each; use csv, or chorale train");
  check_taken(data, data.format, table_keys());
  if (data.file.empty()) throw UsageError("data.file is missing; name the file to train on");
  if (data.target.empty()) throw UsageError("data.target is missing; name the column to predict");
  const Clock::time_point start = Clock::now();
  DataOptions all = data;
  if (const std::string key = parse_representations(data.representations).column; !key.empty()) {  // a key is no feature
    const auto has = [&](const std::vector<std::string>& list) { return std::find(list.begin(), list.end(), key) != list.end(); };
    if (!has(all.id) && !has(all.drop) && key != all.target) all.id.push_back(key);
  }
  if (!published && !data.representations.empty())
    published = Representations::open(data.representations, data.representations_tasks, comm, log);
  return Preparation(all, train, entities, comm, registry, std::move(published)).run(log, start);
}

}  // namespace chorale
