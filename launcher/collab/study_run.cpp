#include <chorale/launcher/collab/study_run.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <future>
#include <map>
#include <set>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/collab/study_report.hpp>
#include <chorale/launcher/collab/study_summary.hpp>
#include <chorale/launcher/collab/trial.hpp>
#include <chorale/launcher/session.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/train/agreement.hpp>
#include <chorale/train/wait_together.hpp>

namespace chorale {

namespace {

std::string text_of(const StudyKey& key) {
  return fmt::format("{} seed {}, labels {}, every {}, width {}", key.arm, key.seed, labels_text(key.labels), key.every, key.width);
}

/// What this rank's thread does.
class Runner {
 public:
  Runner(const CollabRecipe& recipe, const std::vector<StudyKey>& keys, const StudyPlace& place, int rank, int ranks, Log& log)
      : recipe_(recipe), keys_(keys), runs_(place.folder / "runs"), rank_(rank), ranks_(ranks), log_(log) {}

  void work() {
    trials_ = std::make_unique<CollabTrials>(recipe_, log_);
    std::set<std::string> arms;
    for (const StudyKey& key : keys_) arms.insert(key.arm);
    for (const std::string& arm : arms) {
      const std::string needless = trials_->needless(arm), why = needless.empty() ? trials_->hindrance(arm) : needless;
      if (!why.empty()) left_out_[arm] = why;
    }
    for (const auto& [arm, why] : left_out_)
      if (rank_ == 0 && arm != "disjoint") log_.warning("the arm " + arm + " is left out: " + why);
    if (std::any_of(keys_.begin(), keys_.end(), [](const StudyKey& key) { return key.arm == "disjoint"; })) speak_of_disjoint();
    // Arms of one seed go to different ranks; what a rank has left over does not depend on who has finished.
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      if (static_cast<int>(i) % ranks_ != rank_) continue;
      if (requested_stop() != Stop::none) return;
      if (can_run(keys_[i])) run(keys_[i], i);
    }
  }
  const std::string& identity() const { return trials_->identity(); }
  std::string needless(const std::string& arm) const { return trials_->needless(arm); }
  bool can_run(const StudyKey& key) const { return !left_out_.contains(key.arm); }
  /// Arms that these tasks cannot have, and why. Equal on all ranks.
  const std::map<std::string, std::string>& left_out() const { return left_out_; }

 private:
  void speak_of_disjoint() const {
    if (rank_ != 0 || !trials_->disjoint_differs()) return;
    const std::string why = trials_->hindrance("disjoint");
    log_.warning(fmt::format("the arm disjoint {}; training rows without entities that other tasks are tested with: {}",
                             why.empty() ? "trains on fewer rows" : "is left out: " + why, trials_->disjoint_text()));
  }
  void run(const StudyKey& key, std::size_t number) {
    try {
      load_result(runs_, key, trials_->identity());
      return;
    } catch (const IoError&) {
    } catch (const CheckpointError& e) {
      log_.warning(std::string(e.what()) + "; it is run again");
    }
    StudyKey what = key;
    if (key.arm == "disjoint" && !trials_->disjoint_differs()) what.arm = "collab";  // no peer trained on a test entity: the same run
    StudyResult result = trials_->run(what);
    result.key = key;
    save_result(runs_, result);
    std::string scores;
    for (const TaskScores& task : result.tasks) scores += fmt::format("  {} {} {:.4f}", task.task, task.metric, task.value);
    std::fprintf(stderr, "run %zu of %zu: %s:%s\n", number + 1, keys_.size(), text_of(key).c_str(), scores.c_str());
  }

  const CollabRecipe& recipe_;
  const std::vector<StudyKey>& keys_;
  std::filesystem::path runs_;
  int rank_, ranks_;
  Log& log_;
  std::unique_ptr<CollabTrials> trials_;
  std::map<std::string, std::string> left_out_;
};

void write_report(const CollabRecipe& recipe, const std::vector<StudyKey>& keys, const StudyPlace& place, const Runner& runner) {
  std::vector<StudyResult> results;
  for (const StudyKey& key : keys)
    if (runner.can_run(key)) results.push_back(load_result(place.folder / "runs", key, runner.identity()));
  if (results.empty()) throw UsageError("no arm of the study can be run: " + runner.left_out().begin()->second);
  const Study study = summarise({.subject = place.name,
                                 .command = place.command,
                                 .every = recipe.settings.every,
                                 .width = recipe.settings.width,
                                 .bootstrap = {},
                                 .left_out = runner.left_out(),
                                 .no_shuffled = runner.needless("shuffled")},
                                results);
  const bool drawn = write_study(place.folder, study);
  for (const StudyCell& cell : study.base.cells)
    for (const StudyTask& task : cell.tasks) std::printf("labels %s: %s\n", labels_text(cell.labels).c_str(), sentence(task.asked).c_str());
  std::fprintf(stderr, "chorale: wrote %s\n",
               (place.folder / (drawn ? "study.json, study.md, study.svg" : "study.json, study.md")).c_str());
  if (!drawn) std::fprintf(stderr, "chorale: no picture: gnuplot is not installed (package gnuplot-nox)\n");
}

}  // namespace

int run_study_rank(Communicator& world, const CollabRecipe& recipe, const std::vector<StudyKey>& keys, const StudyPlace& place) {
  ConsoleLog log(world.rank());
  if (world.rank() == 0) std::filesystem::create_directories(place.folder / "runs");
  world.barrier("folder of the study").wait();
  Runner runner(recipe, keys, place, world.rank(), world.size(), log);
  std::future<void> done = std::async(std::launch::async, [&] { runner.work(); });
  wait_together(
      world, [&](std::chrono::milliseconds limit) { return done.wait_for(limit) != std::future_status::ready; }, "runs of the study");
  done.get();
  std::int64_t stopped = requested_stop() != Stop::none ? 1 : 0;
  world.all_reduce(buffer_of(std::span(&stopped, 1)), Reduce::max, "stopped").wait();
  if (stopped != 0) {
    if (world.rank() == 0) std::fprintf(stderr, "chorale: stopped; the same command goes on with what is missing\n");
    return static_cast<int>(ExitCode::interrupted);
  }
  if (world.rank() == 0) write_report(recipe, keys, place, runner);
  world.barrier("end of the study").wait();
  return 0;
}

}  // namespace chorale
