// Callbacks that write a run's files: metrics.jsonl, summary.json, curves.svg. A write that fails becomes one warning; training goes on.
#pragma once
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <chorale/core/base/log.hpp>
#include <chorale/train/callback.hpp>

namespace chorale {

/// The fields of summary.json, NaN as null.
std::string summary_json(const Summary& summary);

class RunFiles final : public Callback {
 public:
  /// must_be_ours: throws where another attempt has taken the folder; asked before each write.
  RunFiles(std::filesystem::path folder, Log& log, std::function<void()> must_be_ours = {})
      : folder_(std::move(folder)), log_(log), must_be_ours_(std::move(must_be_ours)) {}
  /// One more field of summary.json, as JSON.
  void add_to_summary(std::string key, std::string json) { more_.emplace_back(std::move(key), std::move(json)); }
  /// After an error, where on_end does not come: a summary with status failed and what is known.
  void failed();
  std::int64_t steps() const { return so_far_.steps; }
  void on_start(const RunFacts& facts) override;
  void on_step(const StepEvent& event) override;
  void on_evaluation(const EvaluationEvent& event) override;
  void on_checkpoint(const CheckpointEvent& event) override;
  void on_end(const Summary& summary) override;

 private:
  void line(const std::string& json);
  std::filesystem::path folder_;
  Log& log_;
  std::function<void()> must_be_ours_;
  std::string whole_summary(const Summary& summary) const;
  std::vector<std::pair<std::string, std::string>> more_;
  bool warned_ = false;
  Summary so_far_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Draws curves.svg from metrics.jsonl with gnuplot, where there is one. Returns false when nothing was drawn.
bool draw_curves(const std::filesystem::path& folder);

}  // namespace chorale
