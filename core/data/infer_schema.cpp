#include <chorale/core/data/infer_schema.hpp>

#include <algorithm>
#include <utility>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/excerpt.hpp>
#include <chorale/core/base/registry.hpp>
#include <chorale/core/data/split.hpp>
#include <chorale/core/data/target_words.hpp>

namespace chorale {

namespace {

bool names_it(const std::vector<std::string>& list, const std::string& column) {
  return std::find(list.begin(), list.end(), column) != list.end();
}

// Few enough to be slips rather than a kind of value.
bool are_slips(std::int64_t others, std::int64_t fitting) {
  return others == 0 || others * 1000 < others + fitting || (others == 1 && fitting >= 20);
}

DateOrder best_order(const ColumnEvidence& e) {
  // A tie of the last two is months and days up to 12 only; the month comes first then, and the note says so.
  if (e.date_fits[0] >= e.date_fits[1] && e.date_fits[0] >= e.date_fits[2]) return DateOrder::ymd;
  return e.date_fits[1] > e.date_fits[2] ? DateOrder::dmy : DateOrder::mdy;
}

void set_date(ColumnSchema& column, const ColumnEvidence& e) {
  column.type = ColumnType::date;
  column.date_order = best_order(e);
  if (column.date_order == DateOrder::mdy && e.date_fits[1] == e.date_fits[2])
    column.note = "every date can be read day first or month first; taken month first";
}

void set_words(ColumnSchema& column, const ColumnEvidence& e) {
  column.type = ColumnType::category;
  const std::int64_t different = e.distinct.count();
  const bool mostly_different = 2 * different > e.words;
  if (!mostly_different || (different <= 1000 && (e.text_bytes < 40 * e.words || different <= 20))) return;
  column.type = ColumnType::text;
  column.note = "most values differ, so it is free text; name it in data.categorical or data.id if it is not";
}

void infer_one(ColumnSchema& column, const ColumnEvidence& e) {
  const std::int64_t numbers = e.numbers + e.not_finite, values = e.values();
  if (values == 0) {
    column.note = "no value in any row";
  } else if (numbers > 0 && are_slips(values - numbers, numbers)) {
    column.type = ColumnType::number;
  } else if (const std::int64_t dates = e.date_fits[static_cast<std::size_t>(best_order(e))];
             dates > 0 && are_slips(values - dates, dates)) {
    set_date(column, e);
  } else {
    set_words(column, e);
    if (numbers > 0 && 2 * numbers > values)
      column.note =
          std::to_string(numbers) + " of " + std::to_string(values) + " values are numbers; the rest is text, so all are categories";
  }
}

}  // namespace

std::optional<ColumnType> declared_type(const DataOptions& options, const std::string& column) {
  if (names_it(options.drop, column) || names_it(options.id, column)) return ColumnType::category;
  const bool number = names_it(options.numeric, column), category = names_it(options.categorical, column),
             date = names_it(options.date, column);
  if (number + category + date > 1)
    throw UsageError("column '" + column + "' is in more than one of data.numeric, data.categorical and data.date; leave it in one");
  if (number || (!options.weight.empty() && column == options.weight)) return ColumnType::number;
  if (category) return ColumnType::category;
  if (date) return ColumnType::date;
  return std::nullopt;
}

void check_column_names(const DataOptions& options, const std::vector<std::string>& names, const std::string& header) {
  const auto check = [&](const char* key, const std::vector<std::string>& list) {
    for (const std::string& column : list) {
      if (names_it(names, column)) continue;
      std::string text = header + ": " + key + " names column '" + column + "', which the file does not have";
      const std::string near = nearest_name(column, names);
      text += near.empty() ? "." : "; did you mean '" + near + "'?";
      text += " It has";
      for (std::size_t i = 0; i < names.size() && i < 40; ++i) text += (i ? ", " : ": ") + excerpt(names[i], 40);
      throw DataError(text + (names.size() > 40 ? " and " + std::to_string(names.size() - 40) + " more" : ""));
    }
  };
  const auto one = [&](const char* key, const std::string& column) {
    if (!column.empty()) check(key, {column});
  };
  const DataOptions& o = options;
  check("data.target", target_names(o.target));
  one("data.weight", o.weight);
  one("data.split", parse_split(o.split).column);
  const std::pair<const char*, const std::vector<std::string>*> lists[] = {{"data.drop", &o.drop},
                                                                           {"data.id", &o.id},
                                                                           {"data.numeric", &o.numeric},
                                                                           {"data.categorical", &o.categorical},
                                                                           {"data.date", &o.date},
                                                                           {"data.standardise", &o.standardise},
                                                                           {"data.minmax", &o.minmax},
                                                                           {"data.robust", &o.robust},
                                                                           {"data.quantile_normal", &o.quantile_normal},
                                                                           {"data.quantile_bins", &o.quantile_bins},
                                                                           {"data.log1p", &o.log1p},
                                                                           {"data.keep", &o.keep},
                                                                           {"data.one_hot", &o.one_hot},
                                                                           {"data.ordinal", &o.ordinal},
                                                                           {"data.hashing", &o.hashing}};
  for (const auto& [key, list] : lists) check(key, *list);
}

Schema infer_schema(const std::vector<ColumnEvidence>& evidence, const std::vector<std::string>& names, const DataOptions& options,
                    const Schema& known) {
  const std::string part_column = parse_split(options.split).column;
  const std::vector<std::string> targets = target_names(options.target);  // a row may lack one of several
  Schema schema;
  for (std::size_t i = 0; i < names.size(); ++i) {
    ColumnSchema column{names[i]};
    if (!known.empty()) {
      const int at = find_column(known, names[i]);
      column = at >= 0 ? known[static_cast<std::size_t>(at)] : ColumnSchema{names[i], ColumnType::category};
    } else if (const std::optional<ColumnType> type = declared_type(options, names[i]); !type) {
      infer_one(column, evidence[i]);
    } else if (*type == ColumnType::date) {
      set_date(column, evidence[i]);
    } else {
      column.type = *type;
    }
    column.required = (targets.size() == 1 && names[i] == targets[0]) || names[i] == options.weight || names[i] == part_column;
    schema.push_back(std::move(column));
  }
  return schema;
}

}  // namespace chorale
