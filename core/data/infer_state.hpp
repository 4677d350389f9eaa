// What a scan of some pieces has seen: enough to choose column types, number rows and lines, and point at what is wrong.
// States of disjoint pieces merge to the state of the whole in any order, so ranks can scan shares of a file and agree.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/data/infer_distinct.hpp>

namespace chorale {

/// What one value looks like, whatever its column is taken for. A date adds a bit for each DateOrder it can be read in.
enum ValueClass : std::uint8_t { kMissing = 0, kNumber = 16, kNotFinite = 32, kText = 64, kDate = 8 };

/// A place in a file that may have to be named in an error.
struct BadSpot {
  std::int64_t piece = 0;
  std::int64_t offset = 0;  // of the record in its file: the order of spots within a piece
  std::int64_t row = -1;    // among the readable records of the piece; -1: the record itself is unreadable
  std::int64_t line = 0;    // from the piece's first line on, 0 based
  std::int64_t column = 1;  // byte in the line
  bool fatal = false;       // cannot be skipped
  std::string text;         // the value, or why the record is unreadable
};

struct ColumnEvidence {
  std::int64_t missing = 0, numbers = 0, not_finite = 0, texts = 0, dates = 0;
  std::array<std::int64_t, 3> date_fits{};  // by DateOrder
  std::int64_t text_bytes = 0;              // of values that were read as words
  std::int64_t words = 0;                   // values that were read as words
  Distinct distinct;                        // of them
  std::vector<BadSpot> not_number;          // the first of the values that no number column takes
  std::array<std::vector<BadSpot>, 3> not_date;
  std::vector<BadSpot> absent;  // the first missing values, where the column is required

  std::int64_t values() const { return numbers + not_finite + texts + dates; }
};

/// How much one piece holds.
struct PieceCount {
  std::int64_t piece = 0;
  std::int64_t rows = 0;   // readable records
  std::int64_t lines = 0;  // newlines from its first record to the next piece's
};

class ScanState {
 public:
  ScanState() = default;
  /// `limit` rows may be skipped; a state remembers one spot more of each kind.
  ScanState(std::size_t column_count, std::int64_t limit) : bad_limit(limit), columns(column_count) {}

  /// Adds the state of other pieces. Both must be of the same source and options.
  void merge(const ScanState& other);
  /// All of it as bytes, in the host's order; `from` reads them back. Throws InternalError for bytes that are none of it.
  std::vector<std::byte> state() const;
  static ScanState from(std::span<const std::byte> bytes);
  void merge(std::span<const std::byte> bytes) { merge(from(bytes)); }

  std::int64_t bad_limit = 0;
  std::int64_t unreadable_count = 0;
  std::vector<BadSpot> unreadable;  // the first bad_limit + 1, and any fatal one
  std::vector<PieceCount> pieces;   // by piece
  std::vector<ColumnEvidence> columns;
};

/// Keeps spots in the order of pieces and offsets, and the first `most` of them beside the fatal ones.
void add_spots(std::vector<BadSpot>& into, const std::vector<BadSpot>& more, std::size_t most);

}  // namespace chorale
