// Cuts CSV text into records and fields: RFC 4180 quotes with embedded separators and newlines, CRLF or LF.
// A quote opens a quoted field only as its first byte; elsewhere it is an ordinary character (5" pipe). Blank lines are no records.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chorale {

/// A record longer than this is a damaged file, or a quote that was never closed.
inline constexpr std::int64_t kMaxRecordBytes = 8 << 20;

/// Fields of some records of equal width, as offsets from the first byte of the text given to the splitter.
struct RecordBatch {
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::vector<std::uint32_t> starts;  // of each record
  std::vector<std::uint32_t> ends;    // of each field, row-major; a field starts behind the separator that ends the one before it

  std::uint32_t begin(std::size_t row, std::size_t column) const {
    return column == 0 ? starts[row] : ends[row * columns + column - 1] + 1;
  }
  std::uint32_t end(std::size_t row, std::size_t column) const { return ends[row * columns + column]; }
};

/// A record that cannot be used, and why.
struct BadRecord {
  std::uint32_t start = 0;  // of the record
  std::uint32_t at = 0;     // the offending byte
  bool fatal = false;       // a quote without an end: where the next record starts is unknown
  std::string why;
};

/// One thread. Reads the records that start before `stop` and lets the last one run beyond it.
class RecordSplitter {
 public:
  /// `text` starts at a record and ends with the file; offsets are 32 bits, so `stop` stays below 3 GiB.
  RecordSplitter(std::string_view text, std::size_t stop, char separator, std::size_t columns);
  /// Fills `batch` with the next good records; bad ones are appended to `bad`. False at the end, with an empty batch.
  bool next(RecordBatch& batch, std::vector<BadRecord>& bad);
  /// Behind the last record read: the start of the next one.
  std::size_t position() const { return record_; }
  /// Newlines before position().
  std::int64_t lines() const { return lines_; }

 private:
  void split_block(std::size_t block, RecordBatch& batch, std::vector<BadRecord>& bad);
  struct Masks;
  void split_plain(const Masks& masks, std::size_t block, RecordBatch& batch, std::vector<BadRecord>& bad);
  void split_quoted(const Masks& masks, std::size_t block, RecordBatch& batch, std::vector<BadRecord>& bad);
  static Masks classify(const char* p, char separator);
  void end_record(std::size_t at, RecordBatch& batch, std::vector<BadRecord>& bad);
  void take_quote(std::size_t at);
  void finish_text(RecordBatch& batch, std::vector<BadRecord>& bad);
  void make_room(RecordBatch& batch);
  void drop_unreadable(RecordBatch& batch, std::vector<BadRecord>& bad) const;
  std::string ragged(std::size_t fields) const;

  std::string_view text_;
  std::size_t stop_, columns_, batch_rows_;
  char separator_;
  std::size_t block_ = 0;   // next block of 64 bytes
  std::size_t record_ = 0;  // start of the present record
  std::size_t field_ = 0;   // start of the present field
  std::size_t filled_ = 0;  // ends written, the present record's included
  std::int64_t lines_ = 0;
  std::size_t overflow_ = 0;              // fields of the present record beyond those that are kept
  std::size_t skip_ = ~std::size_t{0};    // second quote of an escaped pair
  std::size_t broken_ = ~std::size_t{0};  // where the present record's quoting went wrong
  bool inside_ = false;                   // of a quoted field
  bool done_ = false;
  bool strange_ = false;                // a NUL or a byte above 127 in this batch
  bool strange_block_ = false;          // in the last block, which the next batch shares
  std::vector<std::uint32_t> carried_;  // ends of the present record, between batches
};

/// Fields of the one record at `begin`, for headers and messages; returns where the next one starts.
std::size_t split_record(std::string_view text, std::size_t begin, char separator, std::vector<std::string_view>& fields);

/// A field's value: without its quotes, or without the blanks around it when it has none. `scratch` holds it when quotes had to be removed
/// inside.
inline std::string_view field_value(const char* begin, const char* end, std::string& scratch) {
  if (begin != end && *begin == '"') {
    const std::string_view inner(begin + 1, static_cast<std::size_t>(end - begin) - (end - begin > 1 ? 2 : 1));
    if (inner.find('"') == std::string_view::npos) return inner;
    scratch.clear();
    for (std::size_t i = 0; i < inner.size(); ++i) {
      scratch += inner[i];
      if (inner[i] == '"') ++i;
    }
    return scratch;
  }
  while (begin != end && (*begin == ' ' || *begin == '\t')) ++begin;
  while (begin != end && (end[-1] == ' ' || end[-1] == '\t')) --end;
  return {begin, static_cast<std::size_t>(end - begin)};
}

/// Offset of the first byte that is not UTF-8 or is NUL, npos when all is well.
std::size_t first_unreadable(std::string_view text);

}  // namespace chorale
