#include <chorale/core/data/csv_border.hpp>

#include <algorithm>
#include <cstring>

namespace chorale {

namespace {

// The grammar of RecordSplitter seen from its quotes: one opens only as the first byte of a field.
struct Quoting {
  bool inside;
  std::size_t skip = ~std::size_t{0};
  void take(std::string_view text, std::size_t at, char separator) {
    if (at == skip) return;
    if (!inside) {
      inside = at == 0 || text[at - 1] == separator || text[at - 1] == '\n';
    } else if (at + 1 < text.size() && text[at + 1] == '"') {
      skip = at + 1;
    } else {
      inside = false;
    }
  }
};

std::size_t next_quote(std::string_view text, std::size_t from, std::size_t end) {
  const void* found = from < end ? std::memchr(text.data() + from, '"', end - from) : nullptr;
  return found ? static_cast<std::size_t>(static_cast<const char*>(found) - text.data()) : end;
}

}  // namespace

std::size_t border_at(std::string_view text, std::size_t offset) {
  offset = std::min(offset, text.size());
  while (offset > 0 && offset < text.size() && text[offset] == '"') ++offset;
  return offset;
}

QuoteMap quote_map(std::string_view text, std::size_t begin, std::size_t end, char separator) {
  Quoting from_outside{false}, from_inside{true};
  for (std::size_t at = next_quote(text, begin, end); at < end; at = next_quote(text, at + 1, end)) {
    from_outside.take(text, at, separator);
    from_inside.take(text, at, separator);
  }
  return static_cast<QuoteMap>((from_outside.inside ? 1 : 0) | (from_inside.inside ? 2 : 0));
}

bool ends_inside(std::span<const QuoteMap> maps) {
  bool inside = false;
  for (QuoteMap map : maps) inside = (map >> (inside ? 1 : 0)) & 1;
  return inside;
}

std::size_t first_record(std::string_view text, std::size_t border, std::size_t stop, bool inside, char separator) {
  if (!inside && (border == 0 || text[border - 1] == '\n')) return std::min(border, stop);
  Quoting quoting{inside};
  for (std::size_t at = border; at + 1 < stop; ++at) {
    if (quoting.inside) at = next_quote(text, at, stop);
    if (at >= stop) break;
    if (text[at] == '"')
      quoting.take(text, at, separator);
    else if (text[at] == '\n') {
      if (at + 1 < stop) return at + 1;
      break;
    }
  }
  return stop;
}

}  // namespace chorale
