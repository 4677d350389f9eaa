// chorale scale: the same training at several numbers of ranks, alternating over repeats, each run a process of its own.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fmt/format.h>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/printable.hpp>
#include <chorale/launcher/ranks.hpp>
#include <chorale/launcher/scale_subject.hpp>
#include <chorale/launcher/scaling.hpp>
#include <chorale/launcher/signals.hpp>

namespace chorale {

namespace {

struct Words {
  std::vector<std::string> ranks = {"1", "2", "4"};
  std::string mode = "weak", launch = "auto", out = ".";
  std::int64_t repeat = 5;
  double limit_s = 600;
  bool json = false;
};

void describe(OptionTable& t, Words& w) {
  t.add("ranks", w.ranks, "Numbers of ranks to run.");
  t.add("mode", w.mode, "weak: the batch is each rank's; strong: the ranks share it.", {.choices = {"weak", "strong"}});
  t.add("repeat", w.repeat, "Rounds over all numbers of ranks.", {.min = 1, .max = 1000});
  t.add("launch", w.launch, "Who starts the ranks of each run, as for train.", {.choices = {"auto", "threads", "mpirun", "srun"}});
  t.add("out", w.out, "Folder of scale.json and scale.svg.");
  t.add("limit", w.limit_s, "Longest time of one run in seconds.", {.min = 1, .max = 1e6});
  t.add("json", w.json, "scale.json instead of the table.");
}

std::vector<int> rank_counts(const Words& w) {
  std::vector<int> out;
  for (const std::string& word : w.ranks) {
    char* end = nullptr;
    const long n = std::strtol(word.c_str(), &end, 10);
    if (*end || n < 1 || n > 65536) throw UsageError("--ranks " + word + " is refused: expected numbers of at least 1, for example 1,2,4");
    out.push_back(static_cast<int>(n));
  }
  if (out.empty()) throw UsageError("--ranks is empty: expected numbers of at least 1, for example 1,2,4");
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

void check_surroundings(const Words& w, const std::vector<int>& ranks) {
  Surroundings around = look_around();
  if (around.outer_size > 0) throw UsageError("scale starts the ranks itself; run it without mpirun or srun around it");
  for (const int n : ranks) plan_ranks({.ranks = std::to_string(n), .launch = w.launch}, around);
  std::error_code error;
  std::filesystem::create_directories(w.out, error);
  if (::access(w.out.c_str(), W_OK) != 0) throw UsageError("--out " + w.out + " is no folder that can be written; name another");
}

/// Every other round runs backwards, so that a machine that slows down or speeds up favours nobody.
std::vector<std::vector<ScaleRun>> sweep(const Words& w, const ScaleSubject& subject, const std::vector<int>& ranks,
                                         const std::vector<std::int64_t>& batches) {
  std::vector<std::vector<ScaleRun>> runs;
  for (std::int64_t k = 0; k < w.repeat; ++k) {
    std::vector<ScaleRun>& round = runs.emplace_back(ranks.size());
    for (std::size_t j = 0; j < ranks.size(); ++j) {
      const std::size_t i = k % 2 == 0 ? j : ranks.size() - 1 - j;
      round[i] = subject.run({.ranks = ranks[i], .batch = batches[i], .launch = w.launch, .limit_s = w.limit_s});
      if (terminal_columns() > 0)
        std::fprintf(stderr, "  round %lld of %lld, %d ranks: step %.4f ms\n", static_cast<long long>(k + 1),
                     static_cast<long long>(w.repeat), ranks[i], round[i].step_ms);
    }
  }
  return runs;
}

}  // namespace

int run_scale(std::span<const std::string> arguments) {
  Words w;
  ScaleSubject subject([&](OptionTable& table) { describe(table, w); });
  subject.read(arguments);
  const std::vector<int> ranks = rank_counts(w);
  check_surroundings(w, ranks);
  catch_signals(false);
  std::vector<std::int64_t> batches;
  for (const int n : ranks) batches.push_back(subject.batch() * (w.mode == "weak" ? n : 1));
  const auto runs = sweep(w, subject, ranks, batches);
  const Scaling scaling = {w.mode, subject.name(), w.repeat, look_around().cores, scale_points(ranks, batches, runs)};
  const std::filesystem::path folder = w.out;
  write_file_atomically(folder / "scale.json", scaling_json(scaling));
  std::fputs((w.json ? scaling_json(scaling) : scaling_table(scaling)).c_str(), stdout);
  const bool drawn = draw_scaling(folder / "scale.svg", scaling);
  std::fprintf(stderr, "chorale: wrote %s\n", printable((folder / (drawn ? "scale.json, scale.svg" : "scale.json")).string()).c_str());
  if (!drawn) std::fprintf(stderr, "chorale: no picture: gnuplot is not installed (package gnuplot-nox)\n");
  return 0;
}

std::string scale_options() {
  Words w;
  OptionTable table;
  describe(table, w);
  return help_text(table) + ScaleSubject::help();
}

}  // namespace chorale
