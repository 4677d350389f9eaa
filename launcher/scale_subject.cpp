#include <chorale/launcher/scale_subject.hpp>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/launcher/spawn/child.hpp>
#include <chorale/core/base/private_folder.hpp>

namespace chorale {

namespace {

constexpr std::int64_t kRecipeSteps = 200;  // enough for a median; a whole training would only repeat it

bool is_key(const Option& option) { return option.key.find('.') != std::string::npos; }

bool is_of_network(const std::string& key) {
  BenchStep unused;
  OptionTable table;
  describe(table, unused);
  return table.find(key) != nullptr;
}

constexpr const char* kMixed = " describes a network, but a recipe names its own; use the recipe's keys, for example --train.batch";

std::string name_of(const std::string& word) { return word.starts_with("--") ? word.substr(2, word.find('=') - 2) : ""; }

/// The first flag that only a network without a recipe has.
std::string network_flag(std::span<const std::string> arguments) {
  for (const std::string& word : arguments)
    if (const std::string name = name_of(word); name != "threads" && is_of_network(name)) return "--" + name;
  return "";
}

bool names_key(std::span<const std::string> arguments) {
  for (const std::string& word : arguments)
    if (name_of(word).find('.') != std::string::npos) return true;
  return false;
}

/// The sweep sets these itself.
bool is_decided(const std::string& key) {
  for (const char* ours : {"batch", "batch-per-rank", "train.batch", "train.steps", "train.evaluate_every", "train.early_stop",
                           "checkpoint.every_steps", "checkpoint.every_epochs", "checkpoint.every_seconds", "checkpoint.every"})
    if (key == ours) return true;
  return false;
}

/// The cause: what a run says last. Its own name in front would stand there twice.
std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  text = text.substr(text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1);
  return text.starts_with("chorale: ") ? text.substr(9) : text;
}

ScaleRun run_of(const std::string& summary, const std::string& what) {
  const auto j = nlohmann::json::parse(summary, nullptr, false);
  if (j.is_discarded() || !j.contains("step_ms") || !j.contains("phases_ms")) throw InternalError(what + " ended well but left no summary");
  ScaleRun run{.step_ms = j["step_ms"].value("p50", 0.0)};
  const double communicate = j["phases_ms"].value("communicate", 0.0);
  double all = 0;
  for (const auto& [name, ms] : j["phases_ms"].items()) all += ms.get<double>();
  // Phases are timed in a few steps only, so they are compared with each other and not with the median of all steps.
  run.exposed = all > 0 ? communicate / all : 0;
  return run;
}

}  // namespace

ScaleSubject::ScaleSubject(const std::function<void(OptionTable&)>& describe_own) {
  describe_own(recipe_table_.table);
  describe_own(network_table_);
  describe(network_table_, step_);
}

bool ScaleSubject::find_recipe(std::span<const std::string> arguments) {
  const std::vector<std::string> rest = read_flags(arguments, recipe_table_.table, 1);
  if (!rest.empty()) recipe_ = rest[0];
  for (const Option& option : recipe_table_.table.all()) {
    if (!option.given || !is_key(option)) continue;
    if (rest.empty())
      throw UsageError("--" + option.key + " is a recipe's key, but no recipe is named; add RECIPE.ini, or use --layers or --preset");
    flags_.emplace_back(option.key, option.text());
  }
  return !rest.empty();
}

void ScaleSubject::read(std::span<const std::string> arguments) {
  try {
    if (find_recipe(arguments)) {
      recipe_table_.read(recipe_);
      read_flags(arguments, recipe_table_.table, 1);  // a flag beats the recipe
      return;
    }
  } catch (const UsageError&) {
    if (!recipe_.empty() || names_key(arguments)) throw;
    const std::string flag = network_flag(arguments);
    const bool named = !arguments.empty() && !arguments[0].starts_with("-");
    if (named && flag.empty()) throw;
    if (named) throw UsageError(flag + kMixed);
  }
  if (!read_flags(arguments, network_table_, 1).empty()) throw UsageError(network_flag(arguments) + kMixed);
  for (const Option& option : network_table_.all())
    if (option.given && is_of_network(option.key)) flags_.emplace_back(option.key, option.text());
  apply_preset(network_table_, step_);
}

std::string ScaleSubject::name() const {
  if (!recipe_.empty()) return std::filesystem::path(recipe_).filename().string();
  const bool own = network_table_.find("layers")->given || network_table_.find("input")->given;
  return step_.preset.empty() || own ? std::to_string(step_.input) + " features, " + step_.layers : step_.preset;
}

std::int64_t ScaleSubject::batch() const {
  if (!recipe_.empty()) return recipe_table_.settings.train.batch;
  return step_.batch_per_rank > 0 ? step_.batch_per_rank : step_.batch;
}

std::vector<std::string> ScaleSubject::words(const ScaleOrder& order, const std::string& run_folder) const {
  std::vector<std::string> out = {"bench", "step", "--json", "--batch", std::to_string(order.batch)};
  if (!recipe_.empty()) out = {"train", recipe_, "--quiet", "--run-dir", run_folder};
  out.insert(out.end(), {"--ranks", std::to_string(order.ranks), "--launch", order.launch});
  for (const auto& [key, value] : flags_)
    if (!is_decided(key)) out.insert(out.end(), {"--" + key, value});
  if (recipe_.empty()) return out;
  const std::int64_t given = recipe_table_.settings.train.steps;
  const std::string steps = std::to_string(given > 0 ? given : kRecipeSteps);
  out.insert(out.end(), {"--train.batch", std::to_string(order.batch), "--train.steps", steps});
  // Neither evaluation nor checkpoints on the way: a sweep measures steps.
  out.insert(out.end(), {"--train.evaluate_every", steps, "--train.early_stop", "", "--checkpoint.every_steps", "0"});
  out.insert(out.end(), {"--checkpoint.every_epochs", "0", "--checkpoint.every_seconds", "0", "--checkpoint.every", "given"});
  return out;
}

ScaleRun ScaleSubject::run(const ScaleOrder& order) const {
  const PrivateFolder folder;
  const std::string run_folder = folder.path() + "/run";
  const std::vector<std::string> all = words(order, run_folder);
  const ChildResult result = run_this_program(all, std::chrono::milliseconds(static_cast<std::int64_t>(1000 * order.limit_s)));
  if (stop_requested()) throw Interrupted("scale was stopped; nothing was written");
  const std::string what = "scale: the run with " + std::to_string(order.ranks) + (order.ranks == 1 ? " rank" : " ranks");
  if (result.too_late) throw CommError(0, "scale", 0, what + " had not ended after --limit seconds; raise it or take fewer --steps");
  if (result.code != 0)
    throw Error(static_cast<ExitCode>(result.code),
                what + " ended with " + std::to_string(result.code) + ": " + last_line(result.messages));
  if (recipe_.empty()) return run_of(result.output, what);
  std::ifstream in(run_folder + "/summary.json");
  return run_of({std::istreambuf_iterator<char>(in), {}}, what);
}

std::string ScaleSubject::help() {
  BenchStep step;
  OptionTable table;
  describe(table, step);
  return "\nWithout a recipe, as bench step:\n" + help_text(table) + "\nWith a recipe every key is a flag, as for train.\n";
}

}  // namespace chorale
