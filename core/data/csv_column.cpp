#include <chorale/core/data/csv_column.hpp>

#include <algorithm>
#include <limits>

#include <chorale/core/data/csv_date.hpp>
#include <chorale/core/data/csv_number.hpp>

namespace chorale {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::uint8_t class_of(const DateRead& date) {
  unsigned value = kText;
  if (date.any()) value = kDate | (date.fits[0] ? 1u : 0u) | (date.fits[1] ? 2u : 0u) | (date.fits[2] ? 4u : 0u);
  return static_cast<std::uint8_t>(value);
}

// Neighbours are often equal (a country, a day, an invoice); comparing is cheaper than reading again.
struct Previous {
  const char* data = nullptr;
  std::size_t bytes = 0;
  bool equals(const char* begin, std::size_t length) const { return data && length == bytes && std::equal(begin, begin + length, data); }
};

}  // namespace

MissingWords::MissingWords(const std::vector<std::string>& words) : words_(words) {
  double number = 0;
  for (const std::string& word : words) {
    lengths_ |= std::uint64_t{1} << std::min<std::size_t>(word.size(), 63);
    has_numbers_ |= read_number(word, number) == NumberRead::ok;
  }
}

std::uint8_t classify_value(std::string_view value, const MissingWords& missing) {
  if (missing.contains(value)) return kMissing;
  double number = 0;
  switch (read_number(value, number)) {
    case NumberRead::ok:
      return kNumber;
    case NumberRead::not_finite:
      return kNotFinite;
    case NumberRead::not_a_number:
      break;
  }
  return class_of(read_date(value));
}

void ColumnReader::start() {
  chunk_ = {};
  classes_.clear();
  words_.clear();
}

void ColumnReader::read(const char* base, const RecordBatch& batch, std::size_t column) {
  switch (type_) {
    case ColumnType::number:
      return read_numbers(base, batch, column);
    case ColumnType::date:
      return read_dates(base, batch, column);
    case ColumnType::category:
    case ColumnType::text:
      return read_words(base, batch, column);
  }
}

void ColumnReader::read_numbers(const char* base, const RecordBatch& batch, std::size_t column) {
  const std::size_t first = chunk_.numbers.size();
  chunk_.numbers.resize(first + batch.rows, kNaN);
  classes_.resize(first + batch.rows, kMissing);
  const bool compare_first = missing_->has_numbers();
  for (std::size_t row = 0; row < batch.rows; ++row) {
    const std::string_view value = field_value(base + batch.begin(row, column), base + batch.end(row, column), scratch_);
    if (value.empty() || (compare_first && missing_->contains(value))) continue;
    const bool ok = read_number(value, chunk_.numbers[first + row]) == NumberRead::ok;
    classes_[first + row] = ok ? std::uint8_t{kNumber} : classify_value(value, *missing_);
  }
}

void ColumnReader::read_dates(const char* base, const RecordBatch& batch, std::size_t column) {
  const std::size_t first = chunk_.numbers.size();
  chunk_.numbers.resize(first + batch.rows, kNaN);
  classes_.resize(first + batch.rows, kMissing);
  Previous previous;
  for (std::size_t row = 0; row < batch.rows; ++row) {
    const char* const begin = base + batch.begin(row, column);
    const std::size_t bytes = batch.end(row, column) - batch.begin(row, column), at = first + row;
    if (previous.equals(begin, bytes)) {
      chunk_.numbers[at] = chunk_.numbers[at - 1];
      classes_[at] = classes_[at - 1];
      continue;
    }
    previous = {begin, bytes};
    const std::string_view value = field_value(begin, begin + bytes, scratch_);
    const DateRead date = read_date(value);
    if (!date.any() || missing_->contains(value)) {
      classes_[at] = classify_value(value, *missing_);
      continue;
    }
    classes_[at] = class_of(date);
    if (date.fits[static_cast<std::size_t>(order_)]) chunk_.numbers[at] = date.seconds[static_cast<std::size_t>(order_)];
  }
}

void ColumnReader::read_words(const char* base, const RecordBatch& batch, std::size_t column) {
  const std::size_t first = chunk_.codes.size();
  chunk_.codes.resize(first + batch.rows, -1);
  Previous previous;
  for (std::size_t row = 0; row < batch.rows; ++row) {
    const char* const begin = base + batch.begin(row, column);
    const std::size_t bytes = batch.end(row, column) - batch.begin(row, column);
    if (previous.equals(begin, bytes)) {
      chunk_.codes[first + row] = chunk_.codes[first + row - 1];
      continue;
    }
    previous = {begin, bytes};
    const std::string_view value = field_value(begin, begin + bytes, scratch_);
    if (!missing_->contains(value)) chunk_.codes[first + row] = words_.code(value);
  }
}

std::vector<std::uint8_t> ColumnReader::classes() const {
  if (!reads_words()) return classes_;
  std::vector<std::uint8_t> of_word(static_cast<std::size_t>(words_.size()));
  for (std::int32_t code = 0; code < words_.size(); ++code)
    of_word[static_cast<std::size_t>(code)] = classify_value(words_.word(code), *missing_);
  std::vector<std::uint8_t> classes(chunk_.codes.size(), kMissing);
  for (std::size_t row = 0; row < classes.size(); ++row)
    if (chunk_.codes[row] >= 0) classes[row] = of_word[static_cast<std::size_t>(chunk_.codes[row])];
  return classes;
}

ColumnEvidence ColumnReader::evidence(const std::vector<std::uint8_t>& classes) const {
  std::int64_t counts[128] = {};
  for (std::uint8_t value : classes) ++counts[value & 127];
  ColumnEvidence evidence;
  evidence.missing = counts[kMissing];
  evidence.numbers = counts[kNumber];
  evidence.not_finite = counts[kNotFinite];
  evidence.texts = counts[kText];
  for (unsigned mask = 1; mask < 8; ++mask) {
    evidence.dates += counts[kDate | mask];
    for (unsigned order = 0; order < 3; ++order)
      if (mask >> order & 1) evidence.date_fits[order] += counts[kDate | mask];
  }
  if (!reads_words()) return evidence;
  std::vector<std::int64_t> uses(static_cast<std::size_t>(words_.size()) + 1);  // the first is for missing values
  for (std::int32_t code : chunk_.codes) ++uses[static_cast<std::size_t>(code + 1)];
  evidence.words = static_cast<std::int64_t>(chunk_.codes.size()) - uses[0];
  for (std::int32_t code = 0; code < words_.size(); ++code) {
    evidence.text_bytes += uses[static_cast<std::size_t>(code) + 1] * static_cast<std::int64_t>(words_.word(code).size());
    evidence.distinct.add(words_.hash(code));
  }
  return evidence;
}

ColumnChunk ColumnReader::take() {
  if (reads_words()) chunk_.dictionary = words_.words();
  return std::move(chunk_);
}

}  // namespace chorale
