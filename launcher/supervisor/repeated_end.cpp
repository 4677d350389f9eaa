#include <chorale/launcher/supervisor/repeated_end.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/launcher/batch_note.hpp>
#include <chorale/launcher/run_events.hpp>
#include <chorale/launcher/supervisor/rank_ends.hpp>

namespace chorale {

namespace {
/// What stays the same from start to start.
std::string way_of(const Verdict& v) {
  std::string cause = v.cause.substr(0, v.cause.find(kStrangersMark));
  cause.resize(std::min(cause.size(), cause.find(", last seen")));
  std::erase_if(cause, [](unsigned char c) { return std::isdigit(c); });
  return fmt::format("{}|{}|{}", v.rank, v.code, cause);
}
}  // namespace

RepeatedEnd RepeatedEnd::in_events_of(const std::filesystem::path& run) {
  RepeatedEnd out;
  std::int64_t checkpoint = -1;
  const auto now_at = [&](std::int64_t newest) {
    if (newest != checkpoint) out.forget();
    checkpoint = newest;
  };
  for_each_event(run, [&](const nlohmann::ordered_json& event, int) {
    const std::optional<Verdict> verdict = end_in(event);
    if (!verdict) return;
    now_at(whole_in(event, "checkpoint"));
    if (verdict->code == static_cast<int>(ExitCode::comm))
      out.add(*verdict);
    else
      out.forget();
  });
  const std::vector<std::int64_t> steps = list_checkpoints(run / "checkpoints").steps;
  now_at(steps.empty() ? -1 : steps.back());
  return out;
}

bool RepeatedEnd::add(const Verdict& verdict) {
  if (verdict.step <= 0) return false;
  Seen& seen = seen_[way_of(verdict)];
  const bool is_same = seen.times > 0 && std::abs(seen.step - verdict.step) <= 1;
  seen = {is_same ? std::max(seen.step, verdict.step) : verdict.step, is_same ? seen.times + 1 : 1};
  return seen.times >= kMost;
}

Verdict RepeatedEnd::final_verdict(const Verdict& verdict, const std::filesystem::path& run) const {
  Verdict out = verdict;
  if (const auto seen = seen_.find(way_of(verdict)); seen != seen_.end()) out.step = seen->second.step;
  out.code = static_cast<int>(ExitCode::internal);
  const std::string samples = samples_noted(run, out.step);
  out.cause = fmt::format(
      "step {} has failed {} times with one cause and no checkpoint in between, so it is not started again: {}. {}; see logs/ and chorale "
      "inspect {} --flight",
      out.step, kMost, verdict.cause,
      samples.empty() ? "No rank has lived to note the samples of its batch" : "Samples of its batch: " + samples, run.string());
  return out;
}

bool is_requeued_job() {
  const char *job = std::getenv("SLURM_JOB_ID"), *starts = std::getenv("SLURM_RESTART_COUNT");
  return job && starts && std::strtoll(starts, nullptr, 10) > 0;
}

}  // namespace chorale
