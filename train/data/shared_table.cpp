#include <chorale/train/data/shared_table.hpp>

#include <algorithm>

#include <chorale/core/base/error.hpp>
#include <chorale/train/data/node_sources.hpp>
#include <chorale/train/data/together.hpp>

namespace chorale {

namespace {

constexpr std::int64_t kLargestPiece = 4 << 20, kSmallestPiece = 64 << 10;
// Pieces that a rank works on before the ranks hear of each other again: a second or so, far below any deadline.
constexpr std::int64_t kPiecesARound = 8;

std::int64_t chosen_piece(std::int64_t wanted, std::int64_t bytes, int ranks) {
  if (wanted > 0) return wanted;
  return std::clamp(bytes / (std::int64_t{ranks} * 2), kSmallestPiece, kLargestPiece);
}

std::int64_t size_of(const TableChunk& chunk) {
  std::size_t bytes = 0;
  for (const ColumnChunk& column : chunk.columns) {
    bytes += column.numbers.capacity() * sizeof(double) + column.codes.capacity() * sizeof(std::int32_t);
    for (const std::string& word : column.dictionary) bytes += sizeof word + word.capacity();
  }
  return static_cast<std::int64_t>(bytes);
}

}  // namespace

SharedTable::SharedTable(const DataOptions& options, const SharedTableSettings& settings, Communicator& comm)
    : comm_(comm), keep_bytes_(settings.keep_bytes) {
  std::vector<Source> sources = open_node_sources(comm, options.file, settings.spill_directory);
  for (const Source& source : sources) bytes_ += static_cast<std::int64_t>(source.bytes().size());
  CsvSettings csv{.piece_bytes = chosen_piece(settings.piece_bytes, bytes_, comm.size()), .known = settings.known};
  together(comm, "data header", [&](std::int64_t&) { source_ = std::make_unique<CsvSource>(std::move(sources), options, csv); });
  round_ = kPiecesARound * comm.size();
  reads_.resize(static_cast<std::size_t>(source_->pieces()));
  parsed_.resize(reads_.size());
  agree_on_quotes();
  const ScanState state = scan();
  plan_ = source_->plan(state);  // a function of equal bytes: what it throws, it throws on every rank
  each_piece("settle data", [](std::int64_t, const TableChunk&) {});
  reads_.clear();
}

void SharedTable::agree_on_quotes() {
  std::vector<std::byte> mine;
  together(comm_, "data quotes", [&](std::int64_t& piece) {
    for (piece = comm_.rank(); piece < source_->pieces(); piece += comm_.size()) {
      mine.push_back(static_cast<std::byte>(source_->scan_quotes(piece)));
      release(piece);
    }
  });
  const auto all = all_gather_bytes(comm_, mine, "data quotes");
  std::vector<QuoteMap> maps;
  const auto ranks = static_cast<std::size_t>(comm_.size());
  for (std::size_t i = 0; i < reads_.size(); ++i) maps.push_back(static_cast<QuoteMap>(all[i % ranks][i / ranks]));
  source_->set_quote_maps(maps);
}

ScanState SharedTable::scan() {
  ScanState mine;
  for (std::int64_t first = 0; first < source_->pieces(); first += round_) {
    together(comm_, "scan data", [&](std::int64_t& piece) {
      for (piece = first + comm_.rank(); piece < std::min(first + round_, source_->pieces()); piece += comm_.size()) {
        PieceRead read = source_->read(piece);
        mine.merge(read.state);
        keep(piece, std::move(read));
      }
    });
  }
  ScanState all;
  for (const auto& state : all_gather_bytes(comm_, mine.state(), "scan data"))
    if (ScanState other = ScanState::from(state); !other.pieces.empty()) all.merge(other);
  return all;
}

void SharedTable::keep(std::int64_t piece, PieceRead&& read) {
  const std::int64_t bytes = size_of(read.chunk);
  release(piece);
  if (kept_bytes_ + bytes > keep_bytes_) return;
  kept_bytes_ += bytes;
  read.state = {};
  reads_[static_cast<std::size_t>(piece)] = std::move(read);
}

// A file that is small beside the budget may stay mapped: it is read again at once.
void SharedTable::release(std::int64_t piece) const {
  if (bytes_ > keep_bytes_ / 4) source_->release(piece);
}

void SharedTable::drop_parsed() {
  for (auto& chunk : parsed_) chunk.reset();
  kept_bytes_ = 0;
}

void SharedTable::pass(Label label, const Visit& visit, const std::function<bool(std::int64_t piece)>& is_mine) {
  for (std::int64_t first = 0; first < source_->pieces(); first += round_) {
    together(comm_, label, [&](std::int64_t& piece) {
      for (piece = first; piece < std::min(first + round_, source_->pieces()); ++piece) {
        if (!is_mine(piece)) continue;
        const auto i = static_cast<std::size_t>(piece);
        if (!reads_.empty()) {  // the first pass only settles what the scan has kept
          if (reads_[i]) parsed_[i] = source_->settle(piece, std::move(*reads_[i]), plan_);
          reads_[i].reset();
        } else if (parsed_[i]) {
          visit(piece, *parsed_[i]);
        } else {
          visit(piece, source_->parse(piece, plan_));
          release(piece);
        }
      }
    });
  }
}

void SharedTable::each_piece(Label label, const Visit& visit) {
  pass(label, visit, [&](std::int64_t piece) { return piece % comm_.size() == comm_.rank(); });
}

void SharedTable::each_piece_on_node(Label label, const Visit& visit) {
  // Who has it parsed already, else in turns.
  const std::int64_t local = comm_.node().rank(), locals = comm_.node().size(), first = comm_.rank() - local;
  pass(label, visit, [&](std::int64_t piece) {
    const std::int64_t reader = piece % comm_.size() - first;
    return (reader >= 0 && reader < locals ? reader : piece % locals) == local;
  });
}

std::vector<std::uint64_t> SharedTable::row_values(Label label, const std::function<std::vector<std::uint64_t>(const TableChunk&)>& make) {
  std::vector<std::uint64_t> mine;
  each_piece(label, [&](std::int64_t, const TableChunk& chunk) {
    const std::vector<std::uint64_t> values = make(chunk);
    mine.insert(mine.end(), values.begin(), values.end());
  });
  const auto ranks = static_cast<std::size_t>(comm_.size());
  std::vector<std::int64_t> counts(ranks);
  for (std::size_t i = 0; i < plan_.pieces.size(); ++i) counts[i % ranks] += plan_.pieces[i].rows;
  std::vector<std::uint64_t> gathered(static_cast<std::size_t>(plan_.rows)), values(gathered.size());
  // Keys are only moved, so the signed type of equal width serves.
  comm_
      .all_gather({mine.data(), static_cast<std::int64_t>(mine.size()), DType::i64, {}},
                  {gathered.data(), static_cast<std::int64_t>(gathered.size()), DType::i64, {}}, counts, label)
      .wait();
  std::vector<std::int64_t> next(ranks, 0);
  for (std::size_t r = 1; r < ranks; ++r) next[r] = next[r - 1] + counts[r - 1];
  for (std::size_t i = 0; i < plan_.pieces.size(); ++i) {
    const TablePlan::Piece& piece = plan_.pieces[i];
    std::copy_n(gathered.begin() + next[i % ranks], piece.rows, values.begin() + piece.first_row);
    next[i % ranks] += piece.rows;
  }
  return values;
}

}  // namespace chorale
