// The inner loop of reading: 64 bytes at a time to bit masks of separators, newlines and quotes, then one turn per field.
// The idea of masks is from G. Langdale & D. Lemire, Parsing gigabytes of JSON per second, VLDB Journal 2019; quotes are walked one by one
// here, because a quote in the middle of a field does not open anything and a parity of quotes would be wrong from there on.
#include <chorale/core/data/csv_split.hpp>

#include <emmintrin.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace chorale {

namespace {

constexpr std::size_t kBatchRows = 1024, kBatchFields = 1 << 18;
constexpr std::size_t kNowhere = ~std::size_t{0};

}  // namespace

struct RecordSplitter::Masks {
  std::uint64_t separator = 0, newline = 0, quote = 0;
  bool strange = false;
};

RecordSplitter::Masks RecordSplitter::classify(const char* p, char separator) {
  const __m128i sep = _mm_set1_epi8(separator), newline = _mm_set1_epi8('\n'), quote = _mm_set1_epi8('"'), zero = _mm_setzero_si128();
  Masks masks;
  __m128i strange = zero;
  for (int i = 0; i < 4; ++i) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 16 * i));
    const auto bits = [&](__m128i wanted) {
      return static_cast<std::uint64_t>(static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, wanted)))) << (16 * i);
    };
    masks.separator |= bits(sep);
    masks.newline |= bits(newline);
    masks.quote |= bits(quote);
    strange = _mm_or_si128(strange, _mm_or_si128(bytes, _mm_cmpeq_epi8(bytes, zero)));
  }
  masks.strange = _mm_movemask_epi8(strange) != 0;
  return masks;
}

RecordSplitter::RecordSplitter(std::string_view text, std::size_t stop, char separator, std::size_t columns)
    : text_(text),
      stop_(std::min(stop, text.size())),
      columns_(columns),
      batch_rows_(std::clamp<std::size_t>(kBatchFields / columns, 1, kBatchRows)),
      separator_(separator),
      done_(stop == 0 || text.empty()) {}

bool RecordSplitter::next(RecordBatch& batch, std::vector<BadRecord>& bad) {
  batch.rows = 0;
  batch.columns = columns_;
  batch.starts.resize(batch_rows_ + 64);
  batch.ends.resize((batch_rows_ + 1) * columns_ + 192);
  strange_ = strange_block_;
  while (!done_ && batch.rows == 0) {  // again when all rows of a batch turn out bad
    std::copy(carried_.begin(), carried_.end(), batch.ends.begin());
    filled_ = carried_.size();
    while (!done_ && batch.rows < batch_rows_) {
      make_room(batch);
      split_block(block_, batch, bad);
      block_ += 64;
      if (!done_ && block_ >= text_.size()) finish_text(batch, bad);
    }
    const std::size_t own = batch.rows * columns_;
    carried_.assign(batch.ends.begin() + static_cast<std::ptrdiff_t>(own),
                    batch.ends.begin() + static_cast<std::ptrdiff_t>(std::max(own, filled_)));
    if (strange_) drop_unreadable(batch, bad);
  }
  return batch.rows > 0;
}

void RecordSplitter::split_block(std::size_t block, RecordBatch& batch, std::vector<BadRecord>& bad) {
  const std::size_t length = std::min<std::size_t>(64, text_.size() - block);
  Masks masks;
  if (length == 64) {
    masks = classify(text_.data() + block, separator_);
  } else {
    char padded[64];
    std::memset(padded, 1, sizeof padded);
    std::memcpy(padded, text_.data() + block, length);
    masks = classify(padded, separator_);
  }
  strange_block_ = masks.strange;
  strange_ |= masks.strange;
  if (masks.quote != 0)
    split_quoted(masks, block, batch, bad);
  else if (!inside_)
    split_plain(masks, block, batch, bad);
  else if (block - record_ > static_cast<std::size_t>(kMaxRecordBytes))
    finish_text(batch, bad);
  std::uint64_t counted = masks.newline;
  if (record_ < block + 64 && done_) counted = record_ > block ? counted & (~std::uint64_t{0} >> (64 - (record_ - block))) : 0;
  lines_ += std::popcount(counted);
}

void RecordSplitter::split_plain(const Masks& masks, std::size_t block, RecordBatch& batch, std::vector<BadRecord>& bad) {
  for (std::uint64_t bits = masks.separator | masks.newline; bits; bits &= bits - 1) {
    const std::size_t at = block + static_cast<std::size_t>(std::countr_zero(bits));
    if (masks.newline & bits & -bits) {
      end_record(at, batch, bad);
      if (done_) return;
    } else {
      batch.ends[filled_++] = static_cast<std::uint32_t>(at);
      field_ = at + 1;
    }
  }
}

void RecordSplitter::split_quoted(const Masks& masks, std::size_t block, RecordBatch& batch, std::vector<BadRecord>& bad) {
  for (std::uint64_t bits = masks.separator | masks.newline | masks.quote; bits && !done_; bits &= bits - 1) {
    const std::uint64_t bit = bits & -bits;
    const std::size_t at = block + static_cast<std::size_t>(std::countr_zero(bits));
    if (masks.quote & bit) {
      take_quote(at);
    } else if (!inside_) {
      if (masks.newline & bit)
        end_record(at, batch, bad);
      else
        batch.ends[filled_++] = static_cast<std::uint32_t>(at), field_ = at + 1;
    }
  }
}

void RecordSplitter::take_quote(std::size_t at) {
  if (at == skip_) return;
  if (!inside_) {
    inside_ = at == field_;
    return;
  }
  const std::size_t behind = at + 1;
  if (behind < text_.size() && text_[behind] == '"') {
    skip_ = behind;
    return;
  }
  inside_ = false;
  if (behind >= text_.size() || text_[behind] == separator_ || text_[behind] == '\n') return;
  const bool line_end = text_[behind] == '\r' && (behind + 1 == text_.size() || text_[behind + 1] == '\n');
  if (!line_end && broken_ == kNowhere) broken_ = behind;
}

void RecordSplitter::end_record(std::size_t at, RecordBatch& batch, std::vector<BadRecord>& bad) {
  const std::size_t own = batch.rows * columns_;
  const std::size_t end = at > field_ && text_[at - 1] == '\r' ? at - 1 : at;
  batch.ends[filled_++] = static_cast<std::uint32_t>(end);
  const std::size_t fields = filled_ - own + overflow_;
  const std::uint32_t start = static_cast<std::uint32_t>(record_);
  if (at - record_ > static_cast<std::size_t>(kMaxRecordBytes)) {
    bad.push_back({start, start, false, "a record of at most 8388608 bytes was expected, this one has " + std::to_string(at - record_)});
  } else if (broken_ != kNowhere) {
    bad.push_back({start, static_cast<std::uint32_t>(broken_), false,
                   "a separator or the line's end was expected behind a closing quote (a quote inside a quoted field is written twice)"});
  } else if (fields == columns_ && !(fields == 1 && end == record_)) {
    batch.starts[batch.rows++] = start;
  } else if (fields != 1 || end != record_) {
    bad.push_back({start, start, false, ragged(fields)});
  }
  filled_ = batch.rows * columns_;
  overflow_ = 0;
  broken_ = kNowhere;
  record_ = field_ = at + 1;
  if (record_ >= stop_) done_ = true;
}

// The text's end, or a quote that swallowed too much.
void RecordSplitter::finish_text(RecordBatch& batch, std::vector<BadRecord>& bad) {
  if (inside_) {
    const bool at_end = block_ + 64 >= text_.size() || block_ >= text_.size();
    bad.push_back(
        {static_cast<std::uint32_t>(record_), static_cast<std::uint32_t>(field_), true,
         std::string("the quote that opens here is not closed ") + (at_end ? "before the end of the file" : "within 8388608 bytes")});
    done_ = true;
    return;
  }
  if (record_ < text_.size()) end_record(text_.size(), batch, bad);
  done_ = true;
}

// A block adds at most 64 ends. A record with far more fields than columns is bad already: its surplus is only counted.
void RecordSplitter::make_room(RecordBatch& batch) {
  const std::size_t own = batch.rows * columns_;
  if (filled_ > own + columns_ + 1) {
    overflow_ += filled_ - (own + columns_ + 1);
    filled_ = own + columns_ + 1;
  }
}

std::string RecordSplitter::ragged(std::size_t fields) const {
  return "a record of " + std::to_string(columns_) + (columns_ == 1 ? " field" : " fields") + " was expected, this one has " +
         std::to_string(fields);
}

void RecordSplitter::drop_unreadable(RecordBatch& batch, std::vector<BadRecord>& bad) const {
  std::size_t kept = 0;
  for (std::size_t row = 0; row < batch.rows; ++row) {
    const std::uint32_t start = batch.starts[row], end = batch.end(row, columns_ - 1);
    const std::size_t wrong = first_unreadable(text_.substr(start, end - start));
    if (wrong != std::string_view::npos) {
      const bool nul = text_[start + wrong] == '\0';
      bad.push_back(
          {start, static_cast<std::uint32_t>(start + wrong), false,
           nul ? "text was expected, here is a NUL byte" : "UTF-8 was expected, here is another byte; convert the file (iconv -t UTF-8)"});
      continue;
    }
    if (kept != row) {
      batch.starts[kept] = start;
      std::copy_n(batch.ends.begin() + static_cast<std::ptrdiff_t>(row * columns_), columns_,
                  batch.ends.begin() + static_cast<std::ptrdiff_t>(kept * columns_));
    }
    ++kept;
  }
  batch.rows = kept;
}

std::size_t split_record(std::string_view text, std::size_t begin, char separator, std::vector<std::string_view>& fields) {
  fields.clear();
  std::size_t field = begin, at = begin;
  bool inside = false;
  const auto end_field = [&](std::size_t end) { fields.push_back(text.substr(field, end - field)); };
  for (; at < text.size() && at - begin <= static_cast<std::size_t>(kMaxRecordBytes); ++at) {
    const char c = text[at];
    if (inside) {
      if (c != '"') continue;
      if (at + 1 < text.size() && text[at + 1] == '"')
        ++at;
      else
        inside = false;
    } else if (c == '"') {
      inside = at == field;
    } else if (c == separator) {
      end_field(at);
      field = at + 1;
    } else if (c == '\n') {
      break;
    }
  }
  end_field(at > field && text[at - 1] == '\r' ? at - 1 : at);
  return std::min(at + 1, text.size());
}

std::size_t first_unreadable(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
  for (std::size_t i = 0; i < text.size();) {
    if (i + 8 <= text.size()) {  // eight ASCII bytes, none of them NUL, at once
      std::uint64_t word = 0;
      std::memcpy(&word, text.data() + i, 8);
      if (((word | (word - 0x0101010101010101u)) & 0x8080808080808080u) == 0) {
        i += 8;
        continue;
      }
    }
    const unsigned c = byte(i);
    if (c != 0 && c < 0x80)
      i += 1;
    else if (c >= 0xC2 && c <= 0xDF && follows(i + 1))
      i += 2;
    else if (c >= 0xE0 && c <= 0xEF && follows(i + 1) && follows(i + 2) && !(c == 0xE0 && byte(i + 1) < 0xA0) &&
             !(c == 0xED && byte(i + 1) > 0x9F))
      i += 3;
    else if (c >= 0xF0 && c <= 0xF4 && follows(i + 1) && follows(i + 2) && follows(i + 3) && !(c == 0xF0 && byte(i + 1) < 0x90) &&
             !(c == 0xF4 && byte(i + 1) > 0x8F))
      i += 4;
    else
      return i;
  }
  return std::string_view::npos;
}

}  // namespace chorale
