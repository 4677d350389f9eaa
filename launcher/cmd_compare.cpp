// chorale compare
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <set>
#include <vector>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/launcher/arguments.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/compare/comparison.hpp>
#include <chorale/launcher/printable.hpp>
#include <chorale/launcher/run_status.hpp>

namespace chorale {

namespace {
constexpr std::size_t kMostRuns = 10'000;

struct CompareWords {
  std::string part = "test", metric, out;
  bool json = false;
};

void describe(OptionTable& table, CompareWords& w) {
  table.add("part", w.part, "Of whose rows the scores are.", {.choices = {"train", "validation", "test"}});
  table.add("metric", w.metric, "The only score to compare, which the picture shows; empty: all, and the first behind the loss is drawn.");
  table.add("out", w.out, "A folder for compare.md, compare.json and compare.svg.");
  table.add("json", w.json, "One object instead of tables.");
}

/// A folder of seed_N folders, as an array of jobs makes it, is its runs.
std::vector<RunRecord> records_of(const std::vector<std::string>& words, const std::string& part) {
  std::vector<RunRecord> out;
  std::set<std::filesystem::path> seen;
  const auto add = [&](const std::filesystem::path& run) {
    std::error_code ignored;
    if (seen.insert(std::filesystem::weakly_canonical(run, ignored)).second)
      out.push_back(read_run_record(run, part));  // named twice: once
  };
  for (const std::string& word : words) {
    const auto seeds = array_runs(word);
    for (const auto& run : seeds) add(run);
    if (seeds.empty()) add(word);
  }
  return out;
}

void keep_only(Comparison& comparison, const std::string& metric) {
  std::string names;
  for (const Comparison::Metric& each : comparison.metrics) names += (names.empty() ? "" : " ") + each.name;
  std::erase_if(comparison.metrics, [&](const Comparison::Metric& each) { return each.name != metric; });
  if (comparison.metrics.empty()) throw UsageError("--metric " + metric + ": no run has it; they have " + names);
}

void write_files(const std::filesystem::path& folder, const Comparison& comparison) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed) throw IoError(folder.string() + ": cannot be made: " + failed.message());
  write_file_atomically(folder / "compare.md", text_of(comparison, true));
  write_file_atomically(folder / "compare.json", json_of(comparison));
  const auto& metrics = comparison.metrics;
  const std::string drawn =
      metrics.size() > 1 && metrics[0].name == "loss" && metrics[1].name != "samples_per_second" ? metrics[1].name : metrics[0].name;
  const bool is_drawn = draw_comparison(folder / "compare.svg", comparison, drawn);
  std::fprintf(stderr, "wrote compare.md, compare.json%s to %s\n",
               is_drawn ? " and compare.svg" : " (no picture: gnuplot is not installed)", printable(folder.string()).c_str());
}
}  // namespace

int run_compare(std::span<const std::string> arguments) {
  CompareWords w;
  OptionTable table;
  describe(table, w);
  const std::vector<std::string> runs = read_flags(arguments, table, kMostRuns);
  const std::vector<RunRecord> records = records_of(runs, w.part);
  Comparison comparison = compare(records, w.part);
  if (!w.metric.empty()) keep_only(comparison, w.metric);
  if (!w.out.empty()) write_files(w.out, comparison);
  std::fputs(w.json ? json_of(comparison).c_str() : printable(text_of(comparison, false)).c_str(), stdout);
  if (const std::string changed = changed_data(records); !changed.empty())
    std::fprintf(stderr, "chorale: warning: %s\n", printable(changed).c_str());
  for (const RunRecord& record : records)
    if (record.status != "done" && record.status != "early_stopped")
      std::fprintf(stderr, "chorale: warning: %s is %s: its scores are not those of a run that has ended by itself\n",
                   printable(record.folder.string()).c_str(), printable(record.status).c_str());
  return 0;
}

std::string compare_options() {
  CompareWords w;
  OptionTable table;
  describe(table, w);
  return help_text(table);
}

}  // namespace chorale
