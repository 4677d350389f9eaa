#include <chorale/train/data/prepare.hpp>

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>

#include <chorale/core/data/encode.hpp>

namespace chorale {

namespace {

using Clock = std::chrono::steady_clock;

/// Work that may fail on one rank only: the first rank's error in rank order is thrown on all.
void together(Communicator& comm, const std::function<void()>& work) {
  std::string mine;
  try {
    work();
  } catch (const Error& e) {
    mine = std::to_string(static_cast<int>(e.code())) + " " + e.what();
  }
  for (const auto& bytes : all_gather_bytes(comm, std::as_bytes(std::span(mine)), "data errors")) {
    if (bytes.empty()) continue;
    const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::size_t space = text.find(' ');
    throw Error(static_cast<ExitCode>(std::stoi(text.substr(0, space))), text.substr(space + 1));
  }
}

class Preparation {
 public:
  Preparation(const DataOptions& data, const TrainOptions& train, Communicator& comm) : data_(data), train_(train), comm_(comm) {}

  PreparedData run(Log& log) {
    const Clock::time_point start = Clock::now();
    together(comm_, [&] { source_ = std::make_unique<CsvSource>(data_); });
    scan();
    PreparedData out;
    out.read_seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (plan_.bad_rows > 0 && comm_.rank() == 0) {
      std::string text = fmt::format("{} bad rows were left out (data.bad_rows = {})", plan_.bad_rows, data_.bad_rows);
      for (const std::string& example : plan_.bad_examples) text += "\n  " + example;
      log.warning(text);
    }
    preprocess_ = make_plan(data_, plan_.schema, target_kind(train_.loss));
    split();
    fit(out);
    encode(out);
    out.rows = plan_.rows;
    return out;
  }

 private:
  bool is_mine(std::int64_t piece) const { return piece % comm_.size() == comm_.rank(); }

  void scan() {
    ScanState state;
    bool first = true;
    together(comm_, [&] {
      for (std::int64_t i = 0; i < source_->pieces(); ++i) {
        if (!is_mine(i)) continue;
        PieceRead read = source_->read(i);
        if (first)
          state = read.state;
        else
          state.merge(read.state);
        first = false;
        reads_.push_back({i, std::move(read)});
      }
    });
    ScanState all;
    bool none = true;
    for (const auto& bytes : all_gather_bytes(comm_, first ? std::vector<std::byte>() : state.state(), "scan states")) {
      if (bytes.empty()) continue;
      if (none)
        all = ScanState::from(bytes);
      else
        all.merge(bytes);
      none = false;
    }
    plan_ = source_->plan(all);  // throws alike on all ranks
    together(comm_, [&] {
      for (auto& [piece, read] : reads_) chunks_.push_back({piece, source_->settle(piece, std::move(read), plan_)});
    });
    reads_.clear();
  }

  void split() {
    const SplitRule rule = parse_split(data_.split);
    std::vector<std::uint64_t> keys;
    if (rule.needs_keys()) {
      std::vector<std::uint64_t> mine;
      const int column = rule.kind == SplitRule::Kind::stratified ? preprocess_.target : preprocess_.split;
      together(comm_, [&] {
        for (const auto& [piece, chunk] : chunks_) {
          const auto of_chunk = split_keys(rule, chunk, column, plan_.schema[static_cast<std::size_t>(column)].type);
          mine.insert(mine.end(), of_chunk.begin(), of_chunk.end());
        }
      });
      keys.resize(static_cast<std::size_t>(plan_.rows));
      const auto all = all_gather_bytes(comm_, std::as_bytes(std::span(mine)), "split keys");
      std::vector<std::size_t> read(all.size(), 0);
      for (std::size_t i = 0; i < plan_.pieces.size(); ++i) {
        const TablePlan::Piece& piece = plan_.pieces[i];
        const std::size_t rank = i % all.size(), bytes = static_cast<std::size_t>(piece.rows) * sizeof(std::uint64_t);
        if (bytes) std::memcpy(keys.data() + piece.first_row, all[rank].data() + read[rank], bytes);
        read[rank] += bytes;
      }
    }
    parts_ = assign_parts(rule, static_cast<std::uint64_t>(data_.split_seed), plan_.rows, keys);
  }

  std::span<const Part> parts_of(const TableChunk& chunk) const {
    return std::span<const Part>(parts_).subspan(static_cast<std::size_t>(chunk.first_row), static_cast<std::size_t>(chunk.rows));
  }

  void fit(PreparedData& out) {
    FitState state(preprocess_, plan_.rows);
    together(comm_, [&] {
      for (const auto& [piece, chunk] : chunks_) state.update(chunk, parts_of(chunk));
    });
    FitState all(preprocess_, plan_.rows);
    for (const auto& bytes : all_gather_bytes(comm_, state.state(), "fitted states")) all.merge(bytes);
    out.pipeline = fit_pipeline(preprocess_, all);
    for (const std::string& word : data_.split) out.pipeline.split += (out.pipeline.split.empty() ? "" : " ") + word;
    out.pipeline.split_seed = data_.split_seed;
  }

  /// Every node encodes the whole table: its ranks take pieces in turn.
  template <class T>
  void encode_pieces(const Pipeline& pipeline, T* x, T* target, T* weight) {
    Communicator& node = comm_.node();
    const Encoder encoder(pipeline, plan_.schema);
    const std::int64_t features = pipeline.features();
    for (std::int64_t i = 0; i < source_->pieces(); ++i) {
      if (i % node.size() != node.rank()) continue;
      const auto held = std::find_if(chunks_.begin(), chunks_.end(), [&](const auto& c) { return c.first == i; });
      const TableChunk parsed = held == chunks_.end() ? source_->parse(i, plan_) : TableChunk();
      const TableChunk& chunk = held == chunks_.end() ? parsed : held->second;
      encoder.encode(chunk, EncodedRowsOf<T>{.x = x + chunk.first_row * features,
                                             .target = target + chunk.first_row,
                                             .weight = weight ? weight + chunk.first_row : nullptr});
    }
  }

  void encode(PreparedData& out) {
    const DType dtype = parse_dtype(train_.dtype);
    const std::int64_t features = out.pipeline.features(), rows = plan_.rows;
    const bool weighted = preprocess_.weight >= 0;
    Communicator& node = comm_.node();
    const SharedMemory memory = node.allocate(node.rank() == 0 ? rows * (features + 1 + (weighted ? 1 : 0)) : 0, dtype);
    const Buffer whole = memory.peers[0];
    const Buffer x = whole.part(0, rows * features), target = whole.part(rows * features, rows);
    const Buffer weight = weighted ? whole.part(rows * (features + 1), rows) : Buffer{};
    together(comm_, [&] {
      if (dtype == DType::f32)
        encode_pieces(out.pipeline, x.as<float>(), target.as<float>(), weight.as<float>());
      else
        encode_pieces(out.pipeline, x.as<double>(), target.as<double>(), weight.as<double>());
    });
    const FeatureMatrix matrix{.rows = rows,
                               .features = features,
                               .x = x.data,
                               .target = target.data,
                               .weight = weight.data,
                               .owner = std::make_shared<SharedMemory>(memory),
                               .dtype = dtype,
                               .mapped = {}};
    std::vector<std::int64_t> by_part[3];
    for (std::int64_t r = 0; r < rows; ++r) by_part[static_cast<int>(parts_[static_cast<std::size_t>(r)])].push_back(r);
    out.train = std::make_shared<MatrixDataset>(matrix, std::move(by_part[0]));
    out.validation = std::make_shared<MatrixDataset>(matrix, std::move(by_part[1]));
    out.test = std::make_shared<MatrixDataset>(matrix, std::move(by_part[2]));
  }

  const DataOptions& data_;
  const TrainOptions& train_;
  Communicator& comm_;
  std::unique_ptr<CsvSource> source_;
  std::vector<std::pair<std::int64_t, PieceRead>> reads_;
  std::vector<std::pair<std::int64_t, TableChunk>> chunks_;
  TablePlan plan_;
  PreprocessPlan preprocess_;
  std::vector<Part> parts_;
};

std::string cell_text(const ColumnChunk& column, std::size_t row) {
  if (!column.codes.empty()) return column.codes[row] < 0 ? "" : column.dictionary[static_cast<std::size_t>(column.codes[row])];
  return std::isnan(column.numbers[row]) ? "" : number_name(column.numbers[row]);
}

}  // namespace

TargetKind target_kind(const std::string& loss) {
  if (loss == "binary_cross_entropy") return TargetKind::binary;
  return loss == "cross_entropy" ? TargetKind::classes : TargetKind::value;
}

PreparedData prepare_data(const DataOptions& data, const TrainOptions& train, Communicator& comm, Log& log) {
  if (data.file.empty()) throw UsageError("data.file is missing; name the file to train on");
  if (data.target.empty()) throw UsageError("data.target is missing; name the column to predict");
  return Preparation(data, train, comm).run(log);
}

EncodedFile encode_file(const Pipeline& pipeline, const DataOptions& data, DType dtype) {
  const CsvSource source(data, {.known = pipeline.schema});
  ScanState state = source.scan(0);
  for (std::int64_t i = 1; i < source.pieces(); ++i) state.merge(source.scan(i));
  const TablePlan plan = source.plan(state);
  const Encoder encoder(pipeline, plan.schema);
  const std::int64_t features = pipeline.features();
  EncodedFile out;
  out.has_target = encoder.has_target();
  out.id_names = pipeline.ids;
  const std::int64_t words = plan.rows * (features + 2);
  auto memory = std::make_shared<std::vector<std::byte>>(static_cast<std::size_t>(words) * size_bytes(dtype));
  const Buffer whole{memory->data(), words, dtype, {}};
  const Buffer x = whole.part(0, plan.rows * features), target = whole.part(plan.rows * features, plan.rows),
               weight = whole.part(plan.rows * (features + 1), plan.rows);
  for (std::int64_t i = 0; i < source.pieces(); ++i) {
    const TableChunk chunk = source.parse(i, plan);
    const auto to = [&]<class T>() {
      return EncodedRowsOf<T>{.x = x.as<T>() + chunk.first_row * features,
                              .target = out.has_target ? target.as<T>() + chunk.first_row : nullptr,
                              .weight = encoder.has_weight() ? weight.as<T>() + chunk.first_row : nullptr};
    };
    if (dtype == DType::f32)
      encoder.encode(chunk, to.template operator()<float>());
    else
      encoder.encode(chunk, to.template operator()<double>());
    for (std::size_t r = 0; r < static_cast<std::size_t>(chunk.rows); ++r) {
      std::vector<std::string>& row = out.ids.emplace_back();
      for (const std::string& name : pipeline.ids) {
        const int column = find_column(plan.schema, name);
        row.push_back(column < 0 ? "" : cell_text(chunk.columns[static_cast<std::size_t>(column)], r));
      }
    }
  }
  std::vector<std::int64_t> all(static_cast<std::size_t>(plan.rows));
  for (std::size_t r = 0; r < all.size(); ++r) all[r] = static_cast<std::int64_t>(r);
  const FeatureMatrix matrix{.rows = plan.rows,
                             .features = features,
                             .x = x.data,
                             .target = out.has_target ? target.data : nullptr,
                             .weight = encoder.has_weight() ? weight.data : nullptr,
                             .owner = memory,
                             .dtype = dtype,
                             .mapped = {}};
  out.rows = std::make_shared<MatrixDataset>(matrix, std::move(all));
  return out;
}

}  // namespace chorale
