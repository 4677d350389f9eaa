// One table read by all ranks: each reads some pieces of the file, all know the types, the rows and where every piece lies.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/data/csv_source.hpp>

namespace chorale {

struct SharedTableSettings {
  std::int64_t piece_bytes = 0;  // 0: by the size of the file; never changes a bit of what comes out
  std::int64_t keep_bytes = 0;   // of parsed pieces that a rank may keep between passes; others are read again
  std::string spill_directory = {};
  Schema known = {};  // see CsvSettings
};

/// One thread a rank; every public call that says so is collective.
class SharedTable {
 public:
  /// Collective: reads the file once. Throws the same error on every rank for what is wrong with it.
  SharedTable(const DataOptions& options, const SharedTableSettings& settings, Communicator& comm);

  const TablePlan& plan() const { return plan_; }
  std::int64_t bytes() const { return bytes_; }  // of the files, unpacked
  const std::string& place_of(const std::string& column) const { return source_->place_of(column); }

  using Visit = std::function<void(std::int64_t piece, const TableChunk& chunk)>;
  /// Collective. Shows every piece to one rank of the world, in rising order; an error in `visit` becomes every rank's.
  void each_piece(Label label, const Visit& visit);
  /// The same, but every piece to one rank of each node: for what each node needs whole.
  void each_piece_on_node(Label label, const Visit& visit);
  /// One value a row, made where each_piece shows the rows, for all rows on every rank. Collective.
  std::vector<std::uint64_t> row_values(Label label, const std::function<std::vector<std::uint64_t>(const TableChunk&)>& make);
  /// Forgets the parsed pieces: they are read again when a pass needs them.
  void drop_parsed();

 private:
  void pass(Label label, const Visit& visit, const std::function<bool(std::int64_t piece)>& is_mine);
  void agree_on_quotes();
  ScanState scan();
  void keep(std::int64_t piece, PieceRead&& read);
  void release(std::int64_t piece) const;

  Communicator& comm_;
  std::unique_ptr<CsvSource> source_;
  TablePlan plan_;
  std::int64_t bytes_ = 0, keep_bytes_ = 0, kept_bytes_ = 0, round_ = 1;
  std::vector<std::optional<PieceRead>> reads_;    // until the plan is made
  std::vector<std::optional<TableChunk>> parsed_;  // of this rank, by piece
};

}  // namespace chorale
