#include <chorale/core/data/csv_read.hpp>

#include <algorithm>

#include <chorale/core/base/excerpt.hpp>

namespace chorale {

namespace {

std::string on_one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 32; }, ' ');
  return text;
}

}  // namespace

PieceReader::Range PieceReader::range_of(const CsvSource& source, std::int64_t piece) {
  std::call_once(source.borders_once_, [&] {
    std::vector<QuoteMap> maps;
    for (std::int64_t i = 0; i < source.pieces(); ++i) {
      maps.push_back(source.scan_quotes(i));
      if (source.pieces() > 16) source.release(i);  // a large file would be resident as a whole; a small one is read again at once
    }
    source.settle_borders(maps);
  });
  const auto i = static_cast<std::size_t>(piece);
  const CsvSource::Piece& p = source.pieces_[i];
  const std::string_view text = source.files_[p.file].text;
  return {text, first_record(text, p.begin, p.end, source.begins_inside_[i], source.separator_), p.end, piece};
}

PieceReader::PieceReader(const Schema& schema, char separator, const MissingWords& missing, std::int64_t bad_limit)
    : schema_(schema), separator_(separator), most_spots_(static_cast<std::size_t>(bad_limit) + 1) {
  columns_.reserve(schema.size());
  for (const ColumnSchema& column : schema) columns_.emplace_back(column.type, column.date_order, missing);
}

void PieceReader::run(const Range& range) {
  text_ = range.text.substr(range.begin);
  row_starts_.clear();
  bad_.clear();
  counted_to_ = 0, counted_ = 0;
  for (ColumnReader& column : columns_) column.start();
  RecordSplitter splitter(text_, range.end - range.begin, separator_, columns_.size());
  RecordBatch batch;
  while (splitter.next(batch, bad_)) {
    row_starts_.insert(row_starts_.end(), batch.starts.begin(), batch.starts.begin() + static_cast<std::ptrdiff_t>(batch.rows));
    for (std::size_t i = 0; i < columns_.size(); ++i) columns_[i].read(text_.data(), batch, i);
  }
  lines_ = splitter.lines();
}

TableChunk PieceReader::take_chunk() {
  TableChunk chunk;
  chunk.rows = static_cast<std::int64_t>(row_starts_.size());
  for (ColumnReader& column : columns_) chunk.columns.push_back(column.take());
  return chunk;
}

PieceRead PieceReader::read(const Range& range) {
  run(range);
  PieceRead result{ScanState(columns_.size(), static_cast<std::int64_t>(most_spots_) - 1), {}};
  note_unreadable(range, result.state);
  for (std::size_t i = 0; i < columns_.size(); ++i) note_column(range, i, result.state);
  result.state.pieces.push_back({range.piece, static_cast<std::int64_t>(row_starts_.size()), lines_});
  result.chunk = take_chunk();
  return result;
}

TableChunk PieceReader::parse(const Range& range) {
  run(range);
  std::vector<std::uint8_t> keep(row_starts_.size(), 1);
  bool all = true;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (columns_[i].reads_words() && !schema_[i].required) continue;
    const std::vector<std::uint8_t> classes = columns_[i].classes();
    unsigned fits = kNumber;
    if (columns_[i].reads_words()) fits = 0;
    if (schema_[i].type == ColumnType::date) fits = kDate | 1u << static_cast<unsigned>(schema_[i].date_order);
    for (std::size_t row = 0; row < classes.size(); ++row)
      if (classes[row] == kMissing ? schema_[i].required : (classes[row] & fits) != fits) keep[row] = 0, all = false;
  }
  TableChunk chunk = take_chunk();
  if (!all) keep_rows(chunk, keep);
  return chunk;
}

// Newlines before `at`, which never goes back between two resets.
std::int64_t PieceReader::line_of(std::size_t at) {
  if (at < counted_to_) counted_to_ = 0, counted_ = 0;
  counted_ += std::count(text_.begin() + static_cast<std::ptrdiff_t>(counted_to_), text_.begin() + static_cast<std::ptrdiff_t>(at), '\n');
  counted_to_ = at;
  return counted_;
}

BadSpot PieceReader::spot_at(const Range& range, std::size_t record, std::size_t at) {
  BadSpot spot;
  spot.piece = range.piece;
  spot.offset = static_cast<std::int64_t>(range.begin + record);
  spot.line = line_of(record) +
              std::count(text_.begin() + static_cast<std::ptrdiff_t>(record), text_.begin() + static_cast<std::ptrdiff_t>(at), '\n');
  const std::size_t newline = at == 0 ? std::string_view::npos : text_.rfind('\n', at - 1);
  spot.column = static_cast<std::int64_t>(at - (newline == std::string_view::npos ? 0 : newline + 1)) + 1;
  return spot;
}

void PieceReader::note_unreadable(const Range& range, ScanState& state) {
  std::sort(bad_.begin(), bad_.end(), [](const BadRecord& a, const BadRecord& b) { return a.start < b.start; });
  state.unreadable_count = static_cast<std::int64_t>(bad_.size());
  for (std::size_t i = 0; i < bad_.size(); ++i) {
    if (i >= most_spots_ && !bad_[i].fatal) continue;
    BadSpot spot = spot_at(range, bad_[i].start, bad_[i].at);
    spot.fatal = bad_[i].fatal;
    spot.text = bad_[i].why;
    state.unreadable.push_back(std::move(spot));
  }
}

void PieceReader::note_column(const Range& range, std::size_t column, ScanState& state) {
  const std::vector<std::uint8_t> classes = columns_[column].classes();
  ColumnEvidence& evidence = state.columns[column] = columns_[column].evidence(classes);
  const std::int64_t values = evidence.values();
  const auto lacks = [](unsigned fits) { return [fits](std::uint8_t value) { return value != kMissing && (value & fits) != fits; }; };
  if (values > evidence.numbers) evidence.not_number = spots_of(range, column, classes, lacks(kNumber));
  for (unsigned order = 0; order < 3; ++order)
    if (values > evidence.date_fits[order]) evidence.not_date[order] = spots_of(range, column, classes, lacks(kDate | 1u << order));
  if (schema_[column].required && evidence.missing > 0)
    evidence.absent = spots_of(range, column, classes, [](std::uint8_t value) { return value == kMissing; });
}

std::vector<BadSpot> PieceReader::spots_of(const Range& range, std::size_t column, const std::vector<std::uint8_t>& classes,
                                           const IsBad& is_bad) {
  std::vector<BadSpot> spots;
  std::vector<std::string_view> fields;
  std::string scratch;
  for (std::size_t row = 0; row < classes.size() && spots.size() < most_spots_; ++row) {
    if (!is_bad(classes[row])) continue;
    split_record(text_, row_starts_[row], separator_, fields);
    const std::string_view field = fields[column];
    BadSpot spot = spot_at(range, row_starts_[row], static_cast<std::size_t>(field.data() - text_.data()));
    spot.row = static_cast<std::int64_t>(row);
    spot.text = on_one_line(excerpt(field_value(field.data(), field.data() + field.size(), scratch), 40));
    spots.push_back(std::move(spot));
  }
  return spots;
}

}  // namespace chorale
