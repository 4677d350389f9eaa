#include <chorale/core/data/split.hpp>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <map>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/core/data/feature_hash.hpp>

namespace chorale {
namespace {

constexpr std::array<std::string_view, 3> kParts = {"train", "validation", "test"};
constexpr std::array<std::string_view, 6> kKinds = {"random", "stratified", "order", "time", "group", "column"};
constexpr const char* kAllowed =
    " Allowed: random 0.70 0.15 0.15, stratified 0.70 0.15 0.15, order 0.70 0.15 0.15, time COLUMN 0.70 0.15 0.15, group COLUMN 0.70 0.15 "
    "0.15, column COLUMN "
    "(values train, validation, test). Two numbers are train and test.";

[[noreturn]] void refuse(const std::string& what) { throw UsageError("data.split: " + what + "." + kAllowed); }

double parse_share(const std::string& word) {
  double share = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), share);
  if (error != std::errc() || end != word.data() + word.size()) refuse("'" + word + "' is not a number");
  if (!(share >= 0 && share <= 1)) refuse("share " + word + " is not between 0 and 1");
  return share;
}

/// Where fold number `fold` ends among `rows` ordered rows.
std::size_t fold_border(const SplitRule& rule, std::int64_t fold, std::size_t rows) {
  return rows * static_cast<std::size_t>(fold) / static_cast<std::size_t>(rule.folds);
}

// Borders of the three parts in `rows` ordered rows. Rounding, not cutting: 0.7 of 10 is 7 though 0.7 * 10 < 7 in doubles.
std::array<std::size_t, 2> borders(const SplitRule& rule, std::size_t rows) {
  if (rule.folds > 0) {
    const std::size_t rest = rows - (fold_border(rule, rule.fold, rows) - fold_border(rule, rule.fold - 1, rows));
    const double trains = rule.share[0] / (rule.share[0] + rule.share[1]);
    return {static_cast<std::size_t>(std::llround(trains * static_cast<double>(rest))), rest};
  }
  const auto n = static_cast<double>(rows);
  const auto first = static_cast<std::size_t>(std::llround(rule.share[0] * n));
  const auto second = static_cast<std::size_t>(std::llround((rule.share[0] + rule.share[1]) * n));
  return {std::min(first, rows), rule.share[2] == 0 ? rows : std::clamp(second, std::min(first, rows), rows)};
}

Part part_at(const std::array<std::size_t, 2>& border, std::size_t i) {
  return i < border[0] ? Part::train : i < border[1] ? Part::validation : Part::test;
}

/// The part of the i-th of `rows` ordered rows: with folds the order begins behind the fold that is tested, which comes last then.
Part part_in_order(const SplitRule& rule, std::size_t i, std::size_t rows) {
  const auto border = borders(rule, rows);
  return part_at(border, rule.folds > 0 ? (i + rows - fold_border(rule, rule.fold, rows)) % rows : i);
}

struct Ranked {
  std::uint64_t key;
  std::int64_t row;
  auto operator<=>(const Ranked&) const = default;
};

// The first rows in the order of (key, row) are train, then validation, then test. Two selections, no sort, without folds.
void cut(const SplitRule& rule, std::vector<Ranked>& ranked, std::vector<Part>& parts) {
  if (rule.folds > 0) {
    std::sort(ranked.begin(), ranked.end());
    for (std::size_t i = 0; i < ranked.size(); ++i) parts[static_cast<std::size_t>(ranked[i].row)] = part_in_order(rule, i, ranked.size());
    return;
  }
  const auto border = borders(rule, ranked.size());
  const auto at = [&](std::size_t i) { return ranked.begin() + static_cast<std::ptrdiff_t>(i); };
  if (border[0] < ranked.size()) std::nth_element(ranked.begin(), at(border[0]), ranked.end());
  if (border[0] < border[1] && border[1] < ranked.size()) std::nth_element(at(border[0]), at(border[1]), ranked.end());
  for (std::size_t i = 0; i < ranked.size(); ++i) parts[static_cast<std::size_t>(ranked[i].row)] = part_at(border, i);
}

std::uint64_t draw(std::uint64_t seed, std::uint64_t key) { return mix(mix(seed, 0x73706C6974u), key); }

void cut_by_class(const SplitRule& rule, std::uint64_t seed, std::span<const std::uint64_t> keys, std::vector<Part>& parts) {
  std::map<std::uint64_t, std::vector<Ranked>> classes;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    classes[keys[i]].push_back({draw(seed, i), static_cast<std::int64_t>(i)});
    if (classes.size() > 10000) throw DataError("data.split = stratified: the target has more than 10000 values; use random");
  }
  for (auto& [key, ranked] : classes) cut(rule, ranked, parts);
}

// Groups in a drawn order; each goes where its middle row falls, so that shares are met within one group.
void cut_by_group(const SplitRule& rule, std::uint64_t seed, std::span<const std::uint64_t> keys, std::vector<Part>& parts) {
  std::map<std::uint64_t, std::size_t> sizes;
  for (const std::uint64_t key : keys) ++sizes[key];
  std::vector<std::pair<std::uint64_t, std::uint64_t>> order;
  for (const auto& [key, size] : sizes) order.emplace_back(draw(seed, key), key);
  std::sort(order.begin(), order.end());
  std::map<std::uint64_t, Part> part;
  std::size_t before = 0;
  for (const auto& [drawn, key] : order) {
    part[key] = part_in_order(rule, before + sizes[key] / 2, keys.size());
    before += sizes[key];
  }
  for (std::size_t i = 0; i < keys.size(); ++i) parts[i] = part[keys[i]];
}

// Doubles in their numeric order as unsigned integers.
std::uint64_t ordered(double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value == 0 ? 0.0 : value);
  return bits >> 63 ? ~bits : bits | (1ull << 63);
}

}  // namespace

std::string_view name(Part part) { return kParts[static_cast<std::size_t>(part)]; }

Part parse_part(std::string_view text) {
  const auto it = std::find(kParts.begin(), kParts.end(), text);
  if (it == kParts.end()) throw UsageError("part '" + std::string(text) + "' is unknown; allowed: train validation test");
  return static_cast<Part>(it - kParts.begin());
}

std::string SplitRule::text() const {
  std::string out(kKinds[static_cast<std::size_t>(kind)]);
  if (!column.empty()) out += " " + column;
  if (kind == Kind::column) return out;
  for (const double s : share) {
    char digits[32];
    out += " " + std::string(digits, std::to_chars(digits, digits + sizeof digits, s).ptr);
  }
  if (folds > 0) out += ", fold " + std::to_string(fold) + "/" + std::to_string(folds);
  return out;
}

SplitRule parse_split(const std::vector<std::string>& words) {
  if (words.empty()) refuse("is empty");
  const auto kind = std::find(kKinds.begin(), kKinds.end(), words[0]);
  if (kind == kKinds.end()) refuse("'" + words[0] + "' is unknown");
  SplitRule rule;
  rule.kind = static_cast<SplitRule::Kind>(kind - kKinds.begin());
  std::size_t next = 1;
  if (rule.kind >= SplitRule::Kind::time) {
    if (words.size() < 2) refuse(words[0] + " needs the name of a column");
    rule.column = words[next++];
  }
  const std::size_t numbers = words.size() - next;
  if (rule.kind == SplitRule::Kind::column) {
    if (numbers > 0) refuse("column " + rule.column + " takes no numbers");
    return rule;
  }
  if (numbers == 0) return rule;
  if (numbers != 2 && numbers != 3) refuse(std::to_string(numbers) + " shares given, 2 or 3 are needed");
  rule.share = {parse_share(words[next]), numbers == 3 ? parse_share(words[next + 1]) : 0, parse_share(words.back())};
  const double sum = rule.share[0] + rule.share[1] + rule.share[2];
  if (std::abs(sum - 1) > 1e-6) refuse("the shares sum to " + std::to_string(sum) + ", not to 1");
  if (rule.share[0] == 0) refuse("the share of train is 0");
  return rule;
}

SplitRule parse_split(const std::vector<std::string>& words, const std::string& fold) {
  SplitRule rule = parse_split(words);
  if (fold.empty()) return rule;
  const char* end = fold.data() + fold.size();
  const auto number = std::from_chars(fold.data(), end, rule.fold);
  const bool has_bar = number.ec == std::errc() && number.ptr != end && *number.ptr == '/';
  const auto count = std::from_chars(has_bar ? number.ptr + 1 : end, end, rule.folds);
  if (!has_bar || count.ec != std::errc() || count.ptr != end || rule.folds < 2 || rule.folds > 10000 || rule.fold < 1 ||
      rule.fold > rule.folds)
    throw UsageError("data.fold = " + fold + " is refused: expected K/N with K from 1 to N and N of at least 2, as in 2/5");
  if (rule.kind == SplitRule::Kind::order || rule.kind == SplitRule::Kind::time || rule.kind == SplitRule::Kind::column)
    throw UsageError("data.fold is for random, stratified and group splits; data.split = " + words[0] + " says itself what is tested");
  return rule;
}

std::vector<std::uint64_t> split_keys(const SplitRule& rule, const TableChunk& chunk, int column, ColumnType type) {
  const ColumnChunk& values = chunk.columns[static_cast<std::size_t>(column)];
  const bool numbers = type == ColumnType::number || type == ColumnType::date;
  std::vector<std::uint64_t> keys(static_cast<std::size_t>(chunk.rows));
  if (rule.kind == SplitRule::Kind::time && !numbers) {
    refuse("column '" + rule.column + "' holds neither dates nor numbers; name it in data.date");
  }
  std::vector<std::uint64_t> of_code;
  for (const std::string& text : values.dictionary) {
    if (rule.kind == SplitRule::Kind::column) {
      const auto it = std::find(kParts.begin(), kParts.end(), text);
      if (it == kParts.end())
        throw DataError("data.split = " + rule.text() + ": the column holds '" + text + "'; allowed: train validation test");
      of_code.push_back(static_cast<std::uint64_t>(it - kParts.begin()));
    } else {
      of_code.push_back(hash_text(text));
    }
  }
  if (rule.kind == SplitRule::Kind::column && numbers) {
    throw DataError("data.split = " + rule.text() + ": the column holds numbers; allowed: train validation test");
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (numbers ? std::isnan(values.numbers[i]) : values.codes[i] < 0) {
      throw DataError("data.split = " + rule.text() + ": row " + std::to_string(chunk.first_row + static_cast<std::int64_t>(i) + 1) +
                      " has no value in the column that decides its part; fill it in or use another split");
    }
    keys[i] = numbers ? ordered(values.numbers[i]) : of_code[static_cast<std::size_t>(values.codes[i])];
  }
  return keys;
}

std::vector<Part> parts_by_key(std::span<const std::uint64_t> keys, const std::array<double, 3>& share, std::uint64_t seed) {
  std::vector<Part> parts;
  parts.reserve(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::uint64_t drawn = keys[i] != 0 ? draw(seed, keys[i]) : draw(mix(seed, 0), i);
    const double place = static_cast<double>(drawn >> 11) * 0x1p-53;
    parts.push_back(place < share[0] ? Part::train : place < share[0] + share[1] ? Part::validation : Part::test);
  }
  return parts;
}

std::vector<Part> assign_parts(const SplitRule& rule, std::uint64_t seed, std::int64_t rows, std::span<const std::uint64_t> keys) {
  std::vector<Part> parts(static_cast<std::size_t>(rows), Part::train);
  switch (rule.kind) {
    case SplitRule::Kind::random:
    case SplitRule::Kind::time: {
      std::vector<Ranked> ranked(parts.size());
      for (std::size_t i = 0; i < parts.size(); ++i) {
        ranked[i] = {rule.kind == SplitRule::Kind::time ? keys[i] : draw(seed, i), static_cast<std::int64_t>(i)};
      }
      cut(rule, ranked, parts);
      break;
    }
    case SplitRule::Kind::order: {
      const auto border = borders(rule, parts.size());
      for (std::size_t i = 0; i < parts.size(); ++i) parts[i] = part_at(border, i);
      break;
    }
    case SplitRule::Kind::stratified:
      cut_by_class(rule, seed, keys, parts);
      break;
    case SplitRule::Kind::group:
      cut_by_group(rule, seed, keys, parts);
      break;
    case SplitRule::Kind::column:
      for (std::size_t i = 0; i < parts.size(); ++i) parts[i] = static_cast<Part>(keys[i]);
      break;
  }
  for (std::size_t p = 0; p < 3; ++p) {
    const bool wanted = rule.kind == SplitRule::Kind::column ? p == 0 : rule.share[p] > 0 || (p == 2 && rule.folds > 0);
    if (wanted && std::find(parts.begin(), parts.end(), static_cast<Part>(p)) == parts.end()) {
      throw DataError("data.split = " + rule.text() + ": of " + std::to_string(rows) + " rows none falls into " + std::string(kParts[p]) +
                      (rule.folds > 0 && p == 2 ? "; take fewer folds" : "; give it a larger share, or more rows"));
    }
  }
  return parts;
}

std::vector<std::int64_t> rows_of(std::span<const Part> parts, Part wanted) {
  std::vector<std::int64_t> out;
  for (std::size_t r = 0; r < parts.size(); ++r)
    if (parts[r] == wanted) out.push_back(static_cast<std::int64_t>(r));
  return out;
}

}  // namespace chorale
