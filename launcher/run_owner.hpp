// Who runs a run: one start of it, by where and by whom it was started. Written into the lock of the run directory.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

namespace chorale {

struct RunOwner {
  std::string nonce;            // differs for every start
  std::string cluster = {};     // of Slurm, whose number `job` is: SLURM_CLUSTER_NAME
  std::string job;              // of Slurm, as own_job() has it; empty outside
  std::int64_t restart = 0;     // of the job, by Slurm
  std::int64_t supervisor = 0;  // of the ranks, by who starts them again: CHORALE_SUPERVISOR_RESTART
  std::string watcher;          // of the ranks, as own_watcher() has it
  std::string host;
  std::string machine;  // boot and process name space: where pid means something
  std::int64_t pid = 0;
  std::uint64_t started = 0;  // of the process, in ticks since boot: numbers of processes come again
  double deadline_s = 60;     // of its waits; its heart beats several times in each
};

/// What the ranks of one start have in common: the nonce of their supervisor, CHORALE_SUPERVISOR, or else the job of the user's mpirun or
/// srun as PMIx calls it. Empty: neither.
std::string own_watcher();
RunOwner this_owner(double deadline_s);
std::string owner_json(const RunOwner& attempt);
/// Nothing where the text is no attempt.
std::optional<RunOwner> parse_owner(const std::string& text);
/// "process 4711 on host b, job 12, restart 1".
std::string owner_text(const RunOwner& attempt);

/// Of an attempt of this machine: its process is there and no zombie. Nothing for another machine's.
std::optional<bool> is_alive_here(const RunOwner& attempt);
/// forgotten: Slurm knows no job of this number, for it has ended long ago.
enum class SlurmWord { unknown, alive, over, forgotten };
/// over when Slurm has ended the attempt's job or started it again since. Numbers of jobs are a cluster's own: unknown where the attempt is
/// of another one than the controller that squeue asks here (ClusterName of scontrol show config), and where Slurm does not answer.
SlurmWord slurm_word(const RunOwner& attempt, const RunOwner& mine);

}  // namespace chorale
