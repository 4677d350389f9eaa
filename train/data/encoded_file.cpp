#include <chorale/train/data/encoded_file.hpp>

#include <algorithm>
#include <numeric>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/encode.hpp>
#include <chorale/core/data/memory_budget.hpp>
#include <chorale/core/data/target_words.hpp>
#include <chorale/train/data/bad_rows.hpp>
#include <chorale/train/data/matrix_store.hpp>

namespace chorale {

namespace {

// How to read, without what only training asks for: a dropped column, say, may be absent.
DataOptions reading_options(const EncodedFileSettings& settings) {
  const DataOptions& data = settings.data;
  DataOptions out;
  out.file = data.file;
  out.separator = data.separator;
  out.header = data.header;
  out.missing = data.missing;
  out.bad_rows = data.bad_rows;
  out.memory = data.memory;
  out.id = data.id;
  const std::string key = parse_representations(data.representations).column;
  if (!key.empty() && std::find(out.id.begin(), out.id.end(), key) == out.id.end()) out.id.push_back(key);
  if (settings.needs_target) out.target = data.target, out.weight = data.weight;
  return out;
}

// Types of the columns that are needed; all others are read as words, so that nothing in them can be wrong.
Schema needed_schema(const Pipeline& pipeline, const EncodedFileSettings& settings) {
  Schema out;
  for (const ColumnSchema& column : pipeline.schema) {
    bool needed = column.name == settings.time || (settings.needs_target && column.name == pipeline.weight);
    for (const FittedTarget& target : pipeline.targets) needed = needed || (settings.needs_target && column.name == target.name);
    for (const FittedColumn& fitted : pipeline.columns) needed = needed || fitted.name == column.name;
    if (needed) out.push_back(column);
  }
  return out;
}

// What does not fit is the header's: it says where.
Encoder bound_encoder(const Pipeline& pipeline, const Schema& schema, const SharedTable& table, const AddedFeatures* added) {
  try {
    return Encoder(pipeline, schema, added);
  } catch (const DataError& error) {
    throw DataError(table.place_of(schema.front().name) + ": " + error.what());
  }
}

}  // namespace

EncodedFile::EncodedFile(const Pipeline& pipeline, const EncodedFileSettings& settings, Communicator& comm, Log& log)
    : pipeline_(pipeline),
      budget_(memory_budget(settings.data.memory)),
      table_(reading_options(settings), {.keep_bytes = budget_ / 2 / comm.node().size(), .known = needed_schema(pipeline, settings)},
             comm) {
  const TablePlan& plan = table_.plan();
  if (comm.rank() == 0) warn_of_bad_rows(plan, settings.data, log);
  const PublishedFeatures& published = pipeline.published;
  if (settings.published) settings.published->set_entities(entities({{.kind = published.kind, .column = published.column}})[0]);
  const Encoder encoder = bound_encoder(pipeline, plan.schema, table_, settings.published.get());
  const MatrixShape shape{.rows = plan.rows,
                          .features = pipeline.features(),
                          .targets = settings.needs_target ? target_fields(pipeline.target_names()) : std::vector<std::string>(),
                          .weight = settings.needs_target && encoder.has_weight(),
                          .dtype = settings.dtype};
  MatrixStore store(comm, shape, budget_ / 2, {});
  table_.each_piece_on_node("encoding", [&](std::int64_t, const TableChunk& chunk) { store.write(encoder, chunk); });
  std::vector<std::int64_t> all(static_cast<std::size_t>(plan.rows));
  std::iota(all.begin(), all.end(), std::int64_t{0});
  rows_ = std::make_shared<MatrixDataset>(store.finish(), std::move(all));
}

bool EncodedFile::has_columns(const Pipeline& other) const {
  return std::all_of(other.columns.begin(), other.columns.end(),
                     [&](const FittedColumn& column) { return find_column(table_.plan().schema, column.name) >= 0; });
}

std::vector<std::vector<EntityId>> EncodedFile::entities(const std::vector<EntityColumn>& columns) {
  std::vector<std::vector<EntityId>> out;
  const Schema& schema = table_.plan().schema;
  for (const EntityColumn& entity : columns) {
    const int column = entity.column.empty() ? -1 : find_column(schema, entity.column);
    const int trained = entity.column.empty() ? -1 : find_column(pipeline_.schema, entity.column);
    if (column < 0 && !entity.column.empty())
      throw DataError("the file has no column '" + entity.column + "', the key of each row's " + entity.kind +
                      "; add it (it may be empty)");
    if (column < 0) {
      out.emplace_back(static_cast<std::size_t>(table_.plan().rows), kNoEntity);
      continue;
    }
    const ColumnType type = schema[static_cast<std::size_t>(column)].type;
    const ColumnType was = trained < 0 ? ColumnType::text : pipeline_.schema[static_cast<std::size_t>(trained)].type;
    out.push_back(table_.row_values("entities", [&](const TableChunk& chunk) {
      const ColumnChunk& values = chunk.columns[static_cast<std::size_t>(column)];
      const bool is_words = type == ColumnType::category || type == ColumnType::text;
      return is_words ? entity_ids_of_words(entity.kind, values, chunk.rows, was) : entity_ids(entity.kind, values, chunk.rows, type);
    }));
  }
  return out;
}

std::vector<std::int32_t> EncodedFile::periods(const TimeRequest& request) {
  if (request.column.empty()) return {};
  if (find_column(table_.plan().schema, request.column) < 0)
    throw DataError("the file has no column '" + request.column +
                    "', which says when a row happened, and so what was known of its entities then; add it");
  return row_times(table_, request).periods();
}

void EncodedFile::each_id(const Visit& visit) {
  std::vector<std::string> ids(pipeline_.ids.size());
  if (ids.empty()) {
    for (std::int64_t row = 0; row < table_.plan().rows; ++row) visit(row, ids);
    return;
  }
  table_.each_piece("ids", [&](std::int64_t, const TableChunk& chunk) {
    for (std::int64_t r = 0; r < chunk.rows; ++r) {
      for (std::size_t i = 0; i < ids.size(); ++i) {
        const ColumnChunk& column = chunk.columns[static_cast<std::size_t>(find_column(table_.plan().schema, pipeline_.ids[i]))];
        const std::int32_t code = column.codes[static_cast<std::size_t>(r)];
        ids[i] = code < 0 ? "" : column.dictionary[static_cast<std::size_t>(code)];
      }
      visit(chunk.first_row + r, ids);
    }
  });
}

}  // namespace chorale
