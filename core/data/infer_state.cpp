#include <chorale/core/data/infer_state.hpp>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <tuple>
#include <type_traits>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {

// One visit of every field serves writing and reading, so the two cannot differ.
class Writer {
 public:
  template <class T>
  void visit(T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    const std::byte* p = reinterpret_cast<const std::byte*>(&value);
    bytes.insert(bytes.end(), p, p + sizeof value);
  }
  void visit(std::string& text) {
    std::uint64_t length = text.size();
    visit(length);
    for (char c : text) bytes.push_back(static_cast<std::byte>(c));
  }
  void visit(Distinct& distinct) {
    std::vector<std::uint64_t> hashes = distinct.hashes();
    std::uint64_t count = hashes.size();
    visit(count);
    for (std::uint64_t hash : hashes) visit(hash);
  }
  template <class T>
  std::size_t count(std::vector<T>& list) {
    std::uint64_t size = list.size();
    visit(size);
    return list.size();
  }
  std::vector<std::byte> bytes;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : rest_(bytes) {}
  template <class T>
  void visit(T& value) {
    need(sizeof value);
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_ = rest_.subspan(sizeof value);
  }
  void visit(std::string& text) {
    std::uint64_t length = 0;
    visit(length);
    need(length);
    text.assign(reinterpret_cast<const char*>(rest_.data()), length);
    rest_ = rest_.subspan(length);
  }
  void visit(Distinct& distinct) {
    std::uint64_t count = 0, hash = 0;
    visit(count);
    need(count, sizeof hash);
    for (; count > 0; --count) visit(hash), distinct.add(hash);
  }
  template <class T>
  std::size_t count(std::vector<T>& list) {
    std::uint64_t size = 0;
    visit(size);
    need(size);  // an element has at least a byte
    list.resize(size);
    return list.size();
  }
  bool empty() const { return rest_.empty(); }

 private:
  void need(std::uint64_t count, std::size_t each = 1) const {
    if (count > rest_.size() / each)
      throw InternalError("[scan state] expected " + std::to_string(count * each) + " more bytes, got " + std::to_string(rest_.size()));
  }
  std::span<const std::byte> rest_;
};

template <class Archive>
void visit_spots(Archive& archive, std::vector<BadSpot>& spots) {
  const std::size_t n = archive.count(spots);
  for (std::size_t i = 0; i < n; ++i) {
    BadSpot& spot = spots[i];
    archive.visit(spot.piece), archive.visit(spot.offset), archive.visit(spot.row), archive.visit(spot.line), archive.visit(spot.column);
    archive.visit(spot.fatal), archive.visit(spot.text);
  }
}

template <class Archive>
void visit_state(Archive& archive, ScanState& state) {
  archive.visit(state.bad_limit), archive.visit(state.unreadable_count);
  visit_spots(archive, state.unreadable);
  const std::size_t pieces = archive.count(state.pieces);
  for (std::size_t i = 0; i < pieces; ++i) archive.visit(state.pieces[i]);
  const std::size_t columns = archive.count(state.columns);
  for (std::size_t i = 0; i < columns; ++i) {
    ColumnEvidence& c = state.columns[i];
    archive.visit(c.missing), archive.visit(c.numbers), archive.visit(c.not_finite), archive.visit(c.texts), archive.visit(c.dates);
    archive.visit(c.date_fits), archive.visit(c.text_bytes), archive.visit(c.words), archive.visit(c.distinct);
    visit_spots(archive, c.not_number);
    for (std::vector<BadSpot>& spots : c.not_date) visit_spots(archive, spots);
    visit_spots(archive, c.absent);
  }
}

}  // namespace

void add_spots(std::vector<BadSpot>& into, const std::vector<BadSpot>& more, std::size_t most) {
  if (more.empty()) return;
  into.insert(into.end(), more.begin(), more.end());
  std::stable_sort(into.begin(), into.end(), [](const BadSpot& a, const BadSpot& b) {
    return std::tie(a.piece, a.offset, a.column) < std::tie(b.piece, b.offset, b.column);
  });
  if (into.size() <= most) return;
  const auto end = into.begin() + static_cast<std::ptrdiff_t>(most);
  into.erase(std::remove_if(end, into.end(), [](const BadSpot& spot) { return !spot.fatal; }), into.end());
}

void ScanState::merge(const ScanState& other) {
  if (columns.empty()) columns.resize(other.columns.size());
  if (columns.size() != other.columns.size())
    throw InternalError("[scan state] merging " + std::to_string(other.columns.size()) + " columns into " + std::to_string(columns.size()));
  bad_limit = std::max(bad_limit, other.bad_limit);
  const std::size_t most = static_cast<std::size_t>(bad_limit) + 1;
  unreadable_count += other.unreadable_count;
  add_spots(unreadable, other.unreadable, most);
  pieces.insert(pieces.end(), other.pieces.begin(), other.pieces.end());
  std::sort(pieces.begin(), pieces.end(), [](const PieceCount& a, const PieceCount& b) { return a.piece < b.piece; });
  for (std::size_t i = 0; i < columns.size(); ++i) {
    ColumnEvidence& mine = columns[i];
    const ColumnEvidence& its = other.columns[i];
    mine.missing += its.missing;
    mine.numbers += its.numbers;
    mine.not_finite += its.not_finite;
    mine.texts += its.texts;
    mine.dates += its.dates;
    mine.text_bytes += its.text_bytes;
    mine.words += its.words;
    mine.distinct.add(its.distinct);
    add_spots(mine.not_number, its.not_number, most);
    add_spots(mine.absent, its.absent, most);
    for (std::size_t order = 0; order < 3; ++order) {
      mine.date_fits[order] += its.date_fits[order];
      add_spots(mine.not_date[order], its.not_date[order], most);
    }
  }
}

std::vector<std::byte> ScanState::state() const {
  Writer writer;
  ScanState copy = *this;  // the visit is written once, for both directions, and so wants something it may change
  visit_state(writer, copy);
  return std::move(writer.bytes);
}

ScanState ScanState::from(std::span<const std::byte> bytes) {
  Reader reader(bytes);
  ScanState state;
  visit_state(reader, state);
  if (!reader.empty()) throw InternalError("[scan state] bytes are left over");
  return state;
}

}  // namespace chorale
