// chorale cv: the same training with each of K parts held out as its test rows, one run after the other.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/launcher/arguments.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/compare/comparison.hpp>
#include <chorale/launcher/printable.hpp>
#include <chorale/launcher/ranks.hpp>
#include <chorale/launcher/recipe_settings.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/launcher/spawn/child.hpp>

namespace chorale {

namespace {
namespace fs = std::filesystem;

struct CvWords {
  std::int64_t folds = 5;
  std::string out;
  bool json = false;
  std::string launch = "auto", ranks;
  double limit_s = 7 * 24 * 3600.0;
};

void describe(OptionTable& t, CvWords& w) {
  t.add("folds", w.folds, "Parts of equal size; each is tested once by a model that has not seen it.", {.min = 2, .max = 10000});
  t.add("out", w.out, "Folder of the runs fold_1, fold_2 ..., cv.md and cv.json; runs that are there already are kept. Empty: NAME-cv.");
  t.add("json", w.json, "cv.json instead of the table.");
  t.add("ranks", w.ranks, "Ranks of each run, as for train: -n.");
  t.add("launch", w.launch, "Who starts them, as for train.", {.choices = {"auto", "threads", "mpirun", "srun"}});
  t.add("limit", w.limit_s, "Longest time of one run in seconds.", {.min = 1, .max = 1e8});
}

/// A recipe's keys that were given as flags, for each run.
std::vector<std::string> flags_of(const OptionTable& table) {
  std::vector<std::string> out;
  for (const Option& option : table.all())
    if (option.given && option.origin.empty() && option.key.find('.') != std::string::npos)
      out.insert(out.end(), {"--" + option.key, option.text()});
  return out;
}

struct CrossValidation : RecipeTable {
  CrossValidation() { describe(table, words); }
  CvWords words;
  std::string recipe;
  std::vector<std::string> flags;

  void read_words(std::span<const std::string> arguments) {
    const std::vector<std::string> rest = read_flags(arguments, table, 1);
    if (rest.empty()) throw UsageError("cv needs a recipe: chorale cv RECIPE.ini");
    recipe = rest[0];
    flags = flags_of(table);
    read(recipe);
    read_flags(arguments, table, 1);  // a flag beats the recipe
    if (!settings.data.fold.empty()) throw UsageError("data.fold is what cv goes through; remove it");
    if (words.out.empty()) words.out = fs::path(recipe).stem().string() + "-cv";
  }
  std::vector<std::string> run_words(std::int64_t fold, const fs::path& run) const {
    std::vector<std::string> out = {"train", recipe, "--quiet", "--run-dir", run.string(), "--launch", words.launch};
    if (!words.ranks.empty()) out.insert(out.end(), {"--ranks", words.ranks});
    out.insert(out.end(), flags.begin(), flags.end());
    out.insert(out.end(), {"--data.fold", fmt::format("{}/{}", fold, words.folds)});
    std::error_code ignored;
    if (fs::exists(run, ignored)) out.emplace_back("--resume");  // it was cut off
    return out;
  }
};

/// Folds are of one setting: what the first command said is kept beside them.
void keep_settings(const CrossValidation& cv, const fs::path& folder) {
  std::string text = fmt::format("folds = {}\n", cv.words.folds);
  for (const Option& option : cv.table.all())
    if (option.key.find('.') != std::string::npos) text += option.key + " = " + option.text() + "\n";
  const fs::path file = folder / "cv.settings";
  std::error_code ignored;
  if (!fs::exists(file, ignored)) {
    if (fs::exists(folder / "fold_1", ignored)) throw UsageError(folder.string() + " holds other runs; give another --out");
    return write_file_atomically(file, text);
  }
  const std::string before = read_text(file);
  if (before == text) return;
  const auto differs = std::mismatch(before.begin(), before.end(), text.begin(), text.end());
  const auto line = [](const std::string& all, std::size_t at) {
    const std::size_t begin = all.rfind('\n', at == 0 ? 0 : at - 1);
    return all.substr(begin == std::string::npos ? 0 : begin + 1, all.find('\n', at) - (begin == std::string::npos ? 0 : begin + 1));
  };
  throw UsageError(folder.string() + " holds folds of other settings (" +
                   line(before, static_cast<std::size_t>(differs.first - before.begin())) + ", not " +
                   line(text, static_cast<std::size_t>(differs.second - text.begin())) + "); give another --out");
}

bool is_over(const fs::path& run) {
  std::error_code ignored;
  if (!fs::exists(run / "summary.json", ignored)) return false;
  const std::string status = read_run_record(run, "test").status;
  return status == "done" || status == "early_stopped";
}

void train_fold(const CrossValidation& cv, std::int64_t fold, const fs::path& run) {
  std::fprintf(stderr, "fold %lld of %lld: %s\n", static_cast<long long>(fold), static_cast<long long>(cv.words.folds),
               printable(run.string()).c_str());
  const ChildResult result =
      run_this_program(cv.run_words(fold, run), std::chrono::milliseconds(static_cast<std::int64_t>(1000 * cv.words.limit_s)));
  if (stop_requested()) throw Interrupted(fmt::format("cv was stopped in fold {}; the same command goes on", fold));
  if (result.too_late)
    throw CommError(0, "cv", 0, fmt::format("fold {} had not ended after --limit seconds; the same command goes on with it", fold));
  if (result.code != 0) {
    std::fputs(printable(result.messages).c_str(), stderr);
    throw Error(static_cast<ExitCode>(result.code), fmt::format("fold {} ended with {}; see above", fold, result.code));
  }
}
}  // namespace

int run_cv(std::span<const std::string> arguments) {
  CrossValidation cv;
  cv.read_words(arguments);
  if (look_around().outer_size > 0) throw UsageError("cv starts the ranks itself; run it without mpirun or srun around it");
  catch_signals(false);
  const fs::path folder = cv.words.out;
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) throw IoError(folder.string() + ": cannot be made: " + failed.message());
  keep_settings(cv, folder);
  std::vector<RunRecord> records;
  for (std::int64_t fold = 1; fold <= cv.words.folds; ++fold) {
    const fs::path run = folder / fmt::format("fold_{}", fold);
    if (!is_over(run)) train_fold(cv, fold, run);
    RunRecord record = read_run_record(run, "test");
    record.keys.erase("data.fold");  // what sets the runs apart is no setting
    records.push_back(std::move(record));
  }
  const Comparison folds = compare(records, "test");
  if (folds.settings.size() > 1)
    throw UsageError(folder.string() + " holds runs of other settings (" + folds.settings[1].text + "); give another --out");
  write_file_atomically(folder / "cv.md", text_of(folds, true));
  write_file_atomically(folder / "cv.json", json_of(folds));
  std::fputs(cv.words.json ? json_of(folds).c_str() : printable(text_of(folds, false)).c_str(), stdout);
  return 0;
}

std::string cv_options() {
  CvWords w;
  OptionTable table;
  describe(table, w);
  return help_text(table) + "\nEvery key of a recipe is a flag, as for train.\n";
}

}  // namespace chorale
