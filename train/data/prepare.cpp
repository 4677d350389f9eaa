#include <chorale/train/data/prepare.hpp>

#include <fmt/format.h>

#include <chrono>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/encode.hpp>
#include <chorale/train/data/bad_rows.hpp>
#include <chorale/train/data/matrix_store.hpp>
#include <chorale/core/data/memory_budget.hpp>
#include <chorale/core/io/content_hash.hpp>
#include <chorale/train/data/shared_table.hpp>

namespace chorale {

namespace {

using Clock = std::chrono::steady_clock;

void rows_of(const std::vector<Part>& parts, Part wanted, std::vector<std::int64_t>& out) {
  for (std::size_t r = 0; r < parts.size(); ++r)
    if (parts[r] == wanted) out.push_back(static_cast<std::int64_t>(r));
}

class Preparation {
 public:
  Preparation(const DataOptions& data, const TrainOptions& train, Communicator& comm)
      : data_(data),
        train_(train),
        comm_(comm),
        budget_(memory_budget(data.memory)),
        // Half of the budget for the matrix, half for parsed pieces, which the ranks of a node share out.
        table_(data, {.keep_bytes = budget_ / 2 / comm.node().size(), .spill_directory = {}, .known = {}}, comm) {}

  PreparedData run(Log& log, Clock::time_point start) {
    PreparedData out;
    const TablePlan& plan = table_.plan();
    out.read_seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (comm_.rank() == 0) warn_of_bad_rows(plan, data_, log);
    preprocess_ = make_plan(data_, plan.schema, target_kind(train_.loss));
    split();
    fit(out);
    encode(out, log);
    out.rows = plan.rows;
    return out;
  }

 private:
  void split() {
    const SplitRule rule = parse_split(data_.split);
    std::vector<std::uint64_t> keys;
    if (rule.needs_keys()) {
      const int column = rule.kind == SplitRule::Kind::stratified ? preprocess_.target : preprocess_.split;
      const ColumnType type = table_.plan().schema[static_cast<std::size_t>(column)].type;
      keys = table_.row_values("split keys", [&](const TableChunk& chunk) { return split_keys(rule, chunk, column, type); });
    }
    parts_ = assign_parts(rule, static_cast<std::uint64_t>(data_.split_seed), table_.plan().rows, keys);
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
      throw DataError(table_.place_of(data_.target) + ": " + error.what());
    }
    for (const std::string& word : data_.split) out.pipeline.split += (out.pipeline.split.empty() ? "" : " ") + word;
    out.pipeline.split_seed = data_.split_seed;
  }

  void encode(PreparedData& out, Log& log) {
    const MatrixShape shape{.rows = table_.plan().rows,
                            .features = out.pipeline.features(),
                            .target = true,
                            .weight = preprocess_.weight >= 0,
                            .dtype = parse_dtype(train_.dtype)};
    MatrixStore store(comm_, shape, budget_ / 2, {});
    if (!store.is_in_memory() && comm_.rank() == 0)
      log.info(fmt::format("the feature matrix of {} goes to a file: half of data.memory is {}", bytes_text(shape.bytes()),
                           bytes_text(budget_ / 2)));
    const Encoder encoder(out.pipeline, table_.plan().schema);
    table_.each_piece_on_node("encoding", [&](std::int64_t, const TableChunk& chunk) { store.write(encoder, chunk); });
    const FeatureMatrix matrix = store.finish();
    std::shared_ptr<MatrixDataset>* sets[] = {&out.train, &out.validation, &out.test};
    for (const Part part : {Part::train, Part::validation, Part::test}) {
      std::vector<std::int64_t> rows;
      rows_of(parts_, part, rows);
      *sets[static_cast<int>(part)] = std::make_shared<MatrixDataset>(matrix, std::move(rows));
    }
  }

  const DataOptions& data_;
  const TrainOptions& train_;
  Communicator& comm_;
  std::int64_t budget_;
  SharedTable table_;
  PreprocessPlan preprocess_;
  std::vector<Part> parts_;
};

}  // namespace

std::string PreparedData::identity() const {
  const std::string text = pipeline.to_json();
  ContentHash hash;
  hash.add(std::as_bytes(std::span(text)));
  return fmt::format("{} rows, preprocessing {}", rows, hash.text());
}

TargetKind target_kind(const std::string& loss) {
  if (loss == "binary_cross_entropy") return TargetKind::binary;
  return loss == "cross_entropy" ? TargetKind::classes : TargetKind::value;
}

PreparedData prepare_data(const DataOptions& data, const TrainOptions& train, Communicator& comm, Log& log) {
  if (data.file.empty()) throw UsageError("data.file is missing; name the file to train on");
  if (data.target.empty()) throw UsageError("data.target is missing; name the column to predict");
  const Clock::time_point start = Clock::now();
  return Preparation(data, train, comm).run(log, start);
}

}  // namespace chorale
