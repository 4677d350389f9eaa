#include <chorale/launcher/compare/run_record.hpp>

#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/core/io/text_lines.hpp>
#include <chorale/core/base/option.hpp>

namespace chorale {

namespace {
namespace fs = std::filesystem;

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" \t"), last = text.find_last_not_of(" \t");
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

/// Not by the table of recipes: a run of another version may have keys that this one does not know.
std::map<std::string, std::string> keys_of(const fs::path& recipe) {
  std::map<std::string, std::string> out;
  TextLines in(recipe);
  std::string section;
  for (std::string line; in.next(line);) {
    if (line.starts_with("[") && line.ends_with("]")) section = line.substr(1, line.size() - 2) + ".";
    const std::size_t equals = line.find('=');
    if (!line.starts_with("[") && equals != std::string::npos)
      out[section + trimmed(line.substr(0, equals))] = unquoted(trimmed(line.substr(equals + 1)));
  }
  return out;
}

std::map<std::string, std::map<double, double>> validation_of(const fs::path& lines) {
  std::map<std::string, std::map<double, double>> out;
  TextLines in(lines);
  for (std::string line; in.next(line);) {
    const auto j = nlohmann::json::parse(line, nullptr, false);
    if (!j.is_object() || j.value("event", nlohmann::json()) != "evaluation" || !j.value("step", nlohmann::json()).is_number()) continue;
    const auto scores = j.value("/metrics/validation"_json_pointer, nlohmann::json::object());
    for (const auto& [name, value] : scores.items())
      if (value.is_number()) out[name][j["step"].get<double>()] = value.get<double>();
  }
  return out;
}

nlohmann::json summary_of(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::exists(folder / "recipe.resolved.ini", ignored))
    throw UsageError(folder.string() + " holds no run (no recipe.resolved.ini); name run directories");
  if (!fs::exists(folder / "summary.json", ignored))
    throw UsageError(folder.string() + ": its run is not over (no summary.json); chorale status " + folder.string() +
                     " says how far it is");
  auto json = nlohmann::json::parse(read_text(folder / "summary.json"), nullptr, false);
  if (!json.is_object() || !json.value("metrics", nlohmann::json()).is_object())
    throw DataError((folder / "summary.json").string() + ": no summary of a run of one task; of a collaboration name RUN/tasks/NAME");
  return json;
}
}  // namespace

std::string RunRecord::seed() const {
  const auto text = [&](const char* key) { return keys.contains(key) ? keys.at(key) : ""; };
  return text("train.seed") + "/" + text("data.split_seed");
}

RunRecord read_run_record(const fs::path& folder, const std::string& part) {
  const nlohmann::json summary = summary_of(folder);
  RunRecord out;
  out.folder = folder, out.keys = keys_of(folder / "recipe.resolved.ini"), out.validation = validation_of(folder / "metrics.jsonl");
  if (const auto status = summary.find("status"); status != summary.end() && status->is_string()) out.status = status->get<std::string>();
  if (const auto data = summary.find("data"); data != summary.end() && data->is_string()) out.data = data->get<std::string>();
  const auto scores = summary["metrics"].value(part, nlohmann::json::object());
  for (const auto& [name, value] : scores.items())
    if (value.is_number()) out.scores[name] = value.get<double>();
  if (out.scores.empty()) throw UsageError(folder.string() + " has no scores of its " + part + " rows; name another --part");
  if (const auto speed = summary.find("samples_per_second"); speed != summary.end() && speed->is_number())
    out.scores["samples_per_second"] = speed->get<double>();
  return out;
}

}  // namespace chorale
