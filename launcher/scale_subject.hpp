// What a sweep runs: `chorale bench step` with a network of flags, or `chorale train` with a recipe. Flags are checked here, once, by the
// tables of those commands, and handed on as they were given.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <chorale/launcher/bench_step.hpp>
#include <chorale/launcher/recipe_settings.hpp>
#include <chorale/launcher/scaling.hpp>

namespace chorale {

/// One run of the sweep.
struct ScaleOrder {
  int ranks = 1;
  std::int64_t batch = 1;  // over all ranks
  std::string launch = "auto";
  double limit_s = 600;
};

/// Lives where it is made: options point into it.
class ScaleSubject {
 public:
  /// `describe_own` adds the sweep's own options to whichever table is read.
  explicit ScaleSubject(const std::function<void(OptionTable&)>& describe_own);
  ScaleSubject(const ScaleSubject&) = delete;
  ScaleSubject& operator=(const ScaleSubject&) = delete;
  /// A word that is no flag is the recipe. Throws UsageError, also when flags of a network and a recipe are mixed.
  void read(std::span<const std::string> arguments);
  std::string name() const;
  std::int64_t batch() const;  // of a rank in weak scaling, of all in strong
  /// Runs it in a process. Throws Error with the run's exit code and message; Interrupted after Ctrl-C.
  ScaleRun run(const ScaleOrder& order) const;
  static std::string help();

 private:
  using Flags = std::vector<std::pair<std::string, std::string>>;
  bool find_recipe(std::span<const std::string> arguments);
  std::vector<std::string> words(const ScaleOrder& order, const std::string& run_folder) const;
  std::string recipe_;  // empty: a network of flags
  RecipeTable recipe_table_;
  BenchStep step_;
  OptionTable network_table_;
  Flags flags_;  // what a run is given beside what the sweep decides
};

}  // namespace chorale
