#include <chorale/core/data/csv_source.hpp>

#include <algorithm>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/excerpt.hpp>
#include <chorale/core/data/csv_read.hpp>

namespace chorale {

namespace {

std::vector<Source> open_sources(const DataOptions& options, const CsvSettings& settings) {
  std::vector<Source> sources;
  for (const std::string& path : expand_files(options.file)) sources.emplace_back(path, settings.spill_directory);
  return sources;
}

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + excerpt(name);
  return excerpt(text, 400);
}

}  // namespace

CsvSource::CsvSource(const DataOptions& options, const CsvSettings& settings)
    : CsvSource(open_sources(options, settings), options, settings) {}

CsvSource::CsvSource(std::vector<Source> sources, const DataOptions& options, const CsvSettings& settings)
    : options_(options),
      known_(settings.known),
      missing_(options.missing),
      bad_limit_(bad_row_limit(options.bad_rows)),
      sources_(std::move(sources)) {
  open_files();
  cut_pieces(std::max<std::int64_t>(1, std::min<std::int64_t>(settings.piece_bytes, std::int64_t{1} << 30)));
  guess_types();
}

void CsvSource::open_files() {
  for (const Source& source : sources_) {
    File file;
    file.text = readable_text(source.bytes(), source.path());
    file.dialect = read_dialect(file.text, options_, source.path(), files_.empty() ? '\0' : separator_);
    if (files_.empty()) {
      separator_ = file.dialect.separator;
      names_ = file.dialect.names;
    } else if (file.dialect.names != names_) {
      throw DataError(source.path() + ":1:1: the columns of " + sources_.front().path() + " were expected (" + list_of(names_) +
                      "), here are " + list_of(file.dialect.names) + "; the files of one table must have equal headers");
    }
    files_.push_back(std::move(file));
  }
  check_column_names(options_, names_, files_.front().dialect.places.front());
}

const std::string& CsvSource::place_of(const std::string& column) const {
  const auto at = std::find(names_.begin(), names_.end(), column);
  if (at == names_.end()) throw InternalError("[csv] no column '" + column + "'");
  return files_.front().dialect.places[static_cast<std::size_t>(at - names_.begin())];
}

void CsvSource::cut_pieces(std::int64_t piece_bytes) {
  for (std::size_t i = 0; i < files_.size(); ++i) {
    File& file = files_[i];
    file.first_piece = pieces();
    const std::size_t size = file.text.size(), step = static_cast<std::size_t>(piece_bytes);
    for (std::size_t offset = 0; offset < size; offset += step) {
      Piece piece{i, std::max(border_at(file.text, offset), file.dialect.data_begin),
                  std::max(border_at(file.text, offset + step), file.dialect.data_begin)};
      if (piece.end > piece.begin || offset == 0) pieces_.push_back(piece);
    }
  }
}

QuoteMap CsvSource::scan_quotes(std::int64_t piece) const {
  const Piece& p = pieces_[static_cast<std::size_t>(piece)];
  return quote_map(files_[p.file].text, p.begin, p.end, separator_);
}

void CsvSource::set_quote_maps(const std::vector<QuoteMap>& maps) {
  if (maps.size() != pieces_.size())
    throw InternalError("[csv] expected " + std::to_string(pieces_.size()) + " quote maps, got " + std::to_string(maps.size()));
  std::call_once(borders_once_, [&] { settle_borders(maps); });
}

void CsvSource::settle_borders(const std::vector<QuoteMap>& maps) const {
  begins_inside_.resize(pieces_.size());
  bool inside = false;
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    if (i == 0 || pieces_[i].file != pieces_[i - 1].file) inside = false;
    begins_inside_[i] = inside;
    inside = (maps[i] >> (inside ? 1 : 0)) & 1;
  }
}

std::string CsvSource::locate(const BadSpot& spot, const ScanState& state) const {
  if (pieces_.empty()) return sources_.front().path();
  const std::size_t file = pieces_[static_cast<std::size_t>(spot.piece)].file;
  std::int64_t line = files_[file].dialect.data_line + spot.line;
  for (const PieceCount& count : state.pieces)
    if (count.piece >= files_[file].first_piece && count.piece < spot.piece) line += count.lines;
  return sources_[file].path() + ":" + std::to_string(line) + ":" + std::to_string(spot.column);
}

void CsvSource::guess_types() {
  // The first file's first rows, as words: a function of the file's content, so every rank guesses the same.
  const File& file = files_.front();
  Schema words;
  for (const std::string& name : names_) words.push_back({name, ColumnType::category});
  const std::size_t begin = file.dialect.data_begin;
  const PieceReader::Range range{file.text, begin, std::min(file.text.size(), begin + (std::size_t{1} << 16)), 0};
  const PieceRead sample = PieceReader(words, separator_, missing_, 0).read(range);
  guess_ = infer_schema(sample.state.columns, names_, options_, known_);
}

PieceRead CsvSource::read(std::int64_t piece) const {
  return PieceReader(guess_, separator_, missing_, bad_limit_).read(PieceReader::range_of(*this, piece));
}

TablePlan CsvSource::plan(const ScanState& state) const {
  if (static_cast<std::int64_t>(state.pieces.size()) != pieces())
    throw InternalError("[csv] expected the state of " + std::to_string(pieces()) + " pieces, got " + std::to_string(state.pieces.size()));
  return infer_plan(
      state, names_, options_, [&](const BadSpot& spot) { return locate(spot, state); }, known_);
}

TableChunk CsvSource::parse(std::int64_t piece, const TablePlan& plan) const {
  const PieceReader::Range range = PieceReader::range_of(*this, piece);
  TableChunk chunk = PieceReader(plan.schema, separator_, missing_, 0).parse(range);
  const TablePlan::Piece& expected = plan.pieces[static_cast<std::size_t>(piece)];
  if (chunk.rows != expected.rows)
    throw DataError(sources_[pieces_[static_cast<std::size_t>(piece)].file].path() + ": " + std::to_string(expected.rows) +
                    " rows were expected in piece " + std::to_string(piece) + ", now there are " + std::to_string(chunk.rows) +
                    "; the file has changed while it was read");
  chunk.first_row = expected.first_row;
  return chunk;
}

bool CsvSource::guess_holds(const TablePlan& plan) const {
  for (std::size_t i = 0; i < guess_.size(); ++i) {
    const ColumnSchema &guessed = guess_[i], &settled = plan.schema[i];
    const auto words = [](const ColumnSchema& c) { return c.type == ColumnType::category || c.type == ColumnType::text; };
    if (words(guessed) && words(settled)) continue;
    if (guessed.type != settled.type || (settled.type == ColumnType::date && guessed.date_order != settled.date_order)) return false;
  }
  return true;
}

TableChunk CsvSource::settle(std::int64_t piece, PieceRead&& read, const TablePlan& plan) const {
  const TablePlan::Piece& expected = plan.pieces[static_cast<std::size_t>(piece)];
  if (!guess_holds(plan) || read.chunk.rows != expected.rows) return parse(piece, plan);
  read.chunk.first_row = expected.first_row;
  return std::move(read.chunk);
}

void CsvSource::release(std::int64_t piece) const {
  const Piece& p = pieces_[static_cast<std::size_t>(piece)];
  const Source& source = sources_[p.file];
  const std::size_t mark = source.bytes().size() - files_[p.file].text.size();  // the byte order mark in front
  source.release(static_cast<std::int64_t>(p.begin + mark), static_cast<std::int64_t>(p.end + mark));
}

}  // namespace chorale
