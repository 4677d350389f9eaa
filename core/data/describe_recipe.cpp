// A first recipe: nothing clever, everything in it meant to be read and changed.
#include <algorithm>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/describe.hpp>

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

// Lists are parted by blanks and commas, and # begins a comment.
bool can_be_listed(const std::string& name) { return name.find_first_of(" ,\t#\n\r") == std::string::npos; }

class Lists {
 public:
  void add(const char* key, const std::string& column) {
    if (!can_be_listed(column)) {
      unlisted_ += (unlisted_.empty() ? "'" : ", '") + column + "'";
      return;
    }
    for (auto& [known, words] : lists_)
      if (key == known) {
        words += " " + column;
        return;
      }
    lists_.emplace_back(key, column);
  }
  std::string text() const {
    std::string out;
    for (const auto& [key, words] : lists_)
      out += key + std::string(std::max<std::size_t>(key.size(), 11) - key.size(), ' ') + " = " + words + "\n";
    if (!unlisted_.empty()) out += "# cannot be listed until they are renamed (a blank, comma or # in the name): " + unlisted_ + "\n";
    return out;
  }

 private:
  std::vector<std::pair<std::string, std::string>> lists_;
  std::string unlisted_;
};

void list_column(Lists& lists, const ColumnDescription& column) {
  if (column.role == "id") return lists.add("id", column.name);
  if (column.role == "constant" || column.type == ColumnType::text) return lists.add("drop", column.name);
  if (column.type == ColumnType::date) return lists.add("date", column.name);
  if (column.type != ColumnType::category) return;
  if (can_be_listed(column.name)) lists.add("categorical", column.name);  // is inferred so anyhow
  if (column.different > 200) lists.add("hashing", column.name);
}

// How the file had to be read, where that is not the default.
std::string reading_text(const DataDescription& d) {
  const DataOptions plain;
  std::string text, missing;
  for (const std::string& word : d.options.missing) missing += (word.empty() || missing.empty() ? "" : " ") + word;
  if (!d.options.header) text += line("header", "false");
  if (d.options.separator != plain.separator) text += line("separator", d.options.separator);
  if (d.options.missing != plain.missing) text += line("missing", missing);
  if (d.options.bad_rows != plain.bad_rows) text += line("bad_rows", d.options.bad_rows);
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
  Lists lists;
  for (const ColumnDescription& column : d.columns)
    if (&column != &*target) list_column(lists, column);
  if (task.classes && target->type == ColumnType::number) lists.add("categorical", d.target);
  const bool stratified = task.classes && d.rows >= 20 * target->different;
  const std::int64_t batch = std::clamp<std::int64_t>(d.rows / 20, 1, d.rows > 100000 ? 256 : 64);
  return "# Written by `chorale data describe` from " + std::to_string(d.rows) + " rows. Target: " + task.comment + ".\n" +  //
         "[data]\n" + line("file", file) + reading_text(d) + line("target", d.target) + lists.text() +
         line("split", (stratified ? "stratified" : "random") + std::string(" 0.70 0.15 0.15")) +  //
         "[model]\n" + line("layers", "linear(64) relu dropout(0.1) linear(32) relu linear(" + std::to_string(task.outputs) + ")") +
         "[train]\n" + line("loss", task.loss) + line("batch", std::to_string(batch)) + line("epochs", "20") +
         line("early_stop", task.early_stop) + line("metrics", task.metrics) +  //
         "[optimizer]\n" + line("name", "adam") + line("lr", "0.001");
}

}  // namespace chorale
