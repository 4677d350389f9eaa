// A first recipe: nothing clever, everything in it meant to be read and changed.
#include <algorithm>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/option.hpp>
#include <chorale/core/data/describe.hpp>
#include <chorale/core/data/split.hpp>

namespace chorale {

namespace {

struct Task {
  std::string loss, metrics, early_stop, comment;
  std::int64_t outputs = 1;
  bool classes = true;
};

Task task_of(const ColumnDescription& target) {
  const bool few = target.type == ColumnType::category || (target.whole && target.different <= 10);
  const std::string count = std::to_string(target.different);
  if (few && target.different == 2) return {"binary_cross_entropy", "auc accuracy log_loss", "validation.auc 5", "two classes: one logit"};
  if (few) return {"cross_entropy", "accuracy log_loss", "validation.loss 5", count + " classes: one logit each", target.different};
  return {"mse", "rmse mae r2", "validation.loss 5", "a number", 1, false};
}

std::string line(const std::string& key, const std::string& value) {
  return key + std::string(std::max<std::size_t>(key.size(), 11) - key.size(), ' ') + " = " + value + "\n";
}

bool names_it(const std::vector<std::string>& list, const std::string& column) {
  return std::find(list.begin(), list.end(), column) != list.end();
}

// A column joins a list unless what the file was read with gives it a role already.
void list_column(DataOptions& options, const DataDescription& d, const ColumnDescription& column) {
  const DataOptions& given = d.options;
  if (column.name == given.weight || column.name == parse_split(given.split).column) return;
  for (const auto* list : {&given.drop, &given.id, &given.numeric, &given.categorical, &given.date})
    if (names_it(*list, column.name)) return;
  if (column.role == "id") {
    options.id.push_back(column.name);
  } else if (column.role == "constant" || (column.type == ColumnType::text && !names_it(given.hashing, column.name))) {
    options.drop.push_back(column.name);
  } else if (column.type == ColumnType::date) {
    options.date.push_back(column.name);
  } else if (column.type == ColumnType::category) {
    options.categorical.push_back(column.name);  // is inferred so anyhow
    const bool has_code =
        names_it(given.one_hot, column.name) || names_it(given.ordinal, column.name) || names_it(given.hashing, column.name);
    if (column.different > 200 && !has_code) options.hashing.push_back(column.name);
  }
}

// Everything in [data] that is not its default: how the file was read, and what was found in it.
std::string settings_text(DataOptions options) {
  DataOptions plain;
  OptionTable defaults, table;
  describe(defaults, plain);
  describe(table, options);
  std::string text;
  for (const Option& option : table.all()) {
    const std::string value = option.text();
    if (option.key == "data.file" || option.key == "data.target" || option.key == "data.split" ||
        value == defaults.find(option.key)->text())
      continue;
    text += line(option.key.substr(option.key.find('.') + 1), value);
  }
  return text;
}

bool is_feature(const ColumnDescription& column) { return column.role.empty() && column.type != ColumnType::text; }

}  // namespace

std::string recipe_text(const DataDescription& d, const std::string& file) {
  const auto target = std::find_if(d.columns.begin(), d.columns.end(), [&](const ColumnDescription& c) { return c.name == d.target; });
  if (target == d.columns.end()) throw DataError(file + ": no column can be a target; name one as the target");
  if (target->role == "constant")
    throw DataError(file + ": the target '" + d.target + "' has one value only, so there is nothing to learn; name another as the target");
  if (target->type == ColumnType::text || target->type == ColumnType::date)
    throw DataError(file + ": the target '" + d.target + "' is a " + std::string(name(target->type)) +
                    "; a category or a number was expected");
  if (std::none_of(d.columns.begin(), d.columns.end(), [&](const ColumnDescription& c) { return is_feature(c) && c.name != d.target; }))
    throw DataError(file + ": beside the target '" + d.target +
                    "' there are only ids, constants and free text, so there is nothing to learn from");
  const Task task = task_of(*target);
  DataOptions options = d.options;
  for (const ColumnDescription& column : d.columns)
    if (&column != &*target) list_column(options, d, column);
  if (task.classes && target->type == ColumnType::number && !names_it(options.categorical, d.target))
    options.categorical.push_back(d.target);
  if (options.split == DataOptions().split && task.classes && d.rows >= 20 * target->different) options.split.front() = "stratified";
  if (target->missing > 0 && options.bad_rows == "stop") options.bad_rows = "skip " + std::to_string(target->missing);
  const std::int64_t batch = std::clamp<std::int64_t>(d.rows / 20, 1, d.rows > 100000 ? 256 : 64);
  return "# Written by `chorale data describe` from " + std::to_string(d.rows) + " rows. Target: " + task.comment + ".\n" +  //
         "[data]\n" + line("file", list_text({file})) + line("target", d.target) + settings_text(options) +
         line("split", list_text(options.split)) +  //
         "[model]\n" + line("layers", "linear(64) relu dropout(0.1) linear(32) relu linear(" + std::to_string(task.outputs) + ")") +
         "[train]\n" + line("loss", task.loss) + line("batch", std::to_string(batch)) + line("epochs", "20") +
         line("early_stop", task.early_stop) + line("metrics", task.metrics) +  //
         "[optimizer]\n" + line("name", "adam") + line("lr", "0.001");
}

}  // namespace chorale
