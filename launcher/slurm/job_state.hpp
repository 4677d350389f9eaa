// What Slurm says of a job.
#pragma once
#include <string>

namespace chorale {

struct JobState {
  /// forgotten: Slurm knows of no job of this number: it has ended and was forgotten, or is another cluster's.
  enum class Kind { unknown, forgotten, waiting, running, over } kind = Kind::unknown;
  std::string state = {};   // as squeue writes it: PENDING, RUNNING, COMPLETED; empty where Slurm is not there or does not answer
  std::string reason = {};  // of its waiting
  bool is_live() const { return kind == Kind::waiting || kind == Kind::running; }
  /// "PENDING (Resources)"; "ENDED" of a forgotten one.
  std::string text() const;
};

/// Of "12", or "12_3" for one task of an array. Waits at most 10 s.
JobState job_state(const std::string& job);
/// The same of a job of that cluster: unknown where squeue asks another one here. Empty: nobody has said of which.
JobState job_state(const std::string& job, const std::string& cluster);

/// ClusterName of the controller that squeue asks here, by scontrol show config. Empty where there is none. Waits at most 10 s.
std::string cluster_name();

}  // namespace chorale
