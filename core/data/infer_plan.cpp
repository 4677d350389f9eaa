// The decision over bad rows: taken once, from the merged state, so that no rank can differ.
#include <algorithm>
#include <tuple>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/excerpt.hpp>
#include <chorale/core/data/infer_schema.hpp>

namespace chorale {

namespace {

struct Bad {
  BadSpot spot;
  std::string text;  // without the place
};

std::string expected_value(const ColumnSchema& column, const std::string& value) {
  std::string text = column.type == ColumnType::date ? "a date" : "a number";
  text.append(" was expected in column '").append(excerpt(column.name)).append("', here is '").append(value).append("'");
  if (column.type == ColumnType::date) {
    constexpr const char* kOrders[] = {"year first", "day first", "month first"};
    text += std::string(" (the column is read ") + kOrders[static_cast<std::size_t>(column.date_order)] + ")";
  } else if (const char c = value.empty() ? '\0' : value.back();
             c >= '0' && c <= '9' && value.find_first_not_of("+-.0123456789eE") == std::string::npos) {
    text += ", beyond the range of a double";
  }
  return text + "; mend it, add it to data.missing, or name the column in data.categorical";
}

// All that is bad under this schema, in file order; a row with two bad values counts once.
std::vector<Bad> bad_rows(const ScanState& state, const Schema& schema) {
  std::vector<Bad> all;
  for (const BadSpot& spot : state.unreadable) all.push_back({spot, spot.text});
  for (std::size_t i = 0; i < schema.size(); ++i) {
    const ColumnEvidence& e = state.columns[i];
    const std::vector<BadSpot>* spots = nullptr;
    if (schema[i].type == ColumnType::number) spots = &e.not_number;
    if (schema[i].type == ColumnType::date) spots = &e.not_date[static_cast<std::size_t>(schema[i].date_order)];
    if (spots)
      for (const BadSpot& spot : *spots) all.push_back({spot, expected_value(schema[i], spot.text)});
    if (schema[i].required)
      for (const BadSpot& spot : e.absent)
        all.push_back(
            {spot, "a value was expected in column '" + excerpt(schema[i].name) + "', which the training needs of every row; fill it in"});
  }
  const auto place = [](const Bad& bad) { return std::tie(bad.spot.piece, bad.spot.offset); };
  std::stable_sort(all.begin(), all.end(), [&](const Bad& a, const Bad& b) { return place(a) < place(b); });
  all.erase(std::unique(all.begin(), all.end(), [&](const Bad& a, const Bad& b) { return place(a) == place(b); }), all.end());
  return all;
}

void decide(const std::vector<Bad>& bad, std::int64_t limit, const Locate& locate) {
  for (const Bad& one : bad)
    if (one.spot.fatal)
      throw DataError(locate(one.spot) + ": " + one.text +
                      "; close it (data.bad_rows cannot skip this: where the next row starts is unknown)");
  if (static_cast<std::int64_t>(bad.size()) <= limit) return;
  const Bad& first = bad.front();
  if (limit == 0) throw DataError(locate(first.spot) + ": " + first.text + "; or skip and count such rows with data.bad_rows = skip N");
  throw DataError(locate(first.spot) + ": " + first.text + "; more than the " + std::to_string(limit) +
                  " bad rows that data.bad_rows = skip " + std::to_string(limit) + " allows; the last counted is at " +
                  locate(bad[static_cast<std::size_t>(limit)].spot));
}

}  // namespace

TablePlan infer_plan(const ScanState& state, const std::vector<std::string>& names, const DataOptions& options, const Locate& locate,
                     const Schema& known) {
  TablePlan plan;
  plan.schema = infer_schema(state.columns, names, options, known);
  const std::vector<Bad> bad = bad_rows(state, plan.schema);
  decide(bad, state.bad_limit, locate);
  plan.bad_rows = static_cast<std::int64_t>(bad.size());
  for (std::size_t i = 0; i < bad.size() && i < 5; ++i) plan.bad_examples.push_back(locate(bad[i].spot) + ": " + bad[i].text);
  auto next = bad.begin();
  for (const PieceCount& count : state.pieces) {
    TablePlan::Piece piece{plan.rows, count.rows};
    for (; next != bad.end() && next->spot.piece == count.piece; ++next) piece.rows -= next->spot.row >= 0;
    plan.rows += piece.rows;
    plan.pieces.push_back(piece);
  }
  if (plan.rows == 0)
    throw DataError(locate({}) + ": rows were expected, " +
                    (bad.empty() ? "the file has none" : "all " + std::to_string(bad.size()) + " are bad"));
  return plan;
}

}  // namespace chorale
