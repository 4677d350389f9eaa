#include <chorale/launcher/slurm/batch_script.hpp>

#include <fmt/format.h>

#include <chorale/launcher/slurm/shell_word.hpp>
#include <chorale/launcher/slurm/time_limit.hpp>

namespace chorale {

namespace {

std::string directives(const JobRequest& job, const SaveLead& lead) {
  std::string out;
  const auto line = [&](const std::string& text) { out += "#SBATCH --" + text + "\n"; };
  line("job-name=" + job.name);
  line(job.least_nodes < job.nodes ? fmt::format("nodes={}-{}", job.least_nodes, job.nodes) : fmt::format("nodes={}", job.nodes));
  // With tasks named Slurm counts those of all nodes asked for, and a job that has lost a node waits for it for ever: no fewer nodes hold
  // them.
  if (job.least_nodes < job.nodes)
    line(fmt::format("mincpus={}", job.ranks_per_node * job.threads));
  else
    line(fmt::format("ntasks-per-node={}", job.ranks_per_node));
  line(fmt::format("cpus-per-task={}", job.threads));
  line("time=" + time_limit_text(job.seconds));
  line(fmt::format("signal=USR2@{}", lead.seconds));
  line("requeue");
  line("open-mode=append");
  line(job.seeds.empty() ? "output=slurm-%j.out" : "output=slurm-%A_%a.out");
  if (job.min_ranks > 0) line("no-kill");
  if (!job.partition.empty()) line("partition=" + job.partition);
  if (!job.account.empty()) line("account=" + job.account);
  if (!job.seeds.empty()) line("array=" + job.seeds);
  return out;
}

/// %RANKS%, %THREADS% are numbers, %JOB% says what we are called.
constexpr const char* kBody = R"sh(
# sbatch hands on the environment that it was started in: what an outer job's says must not be taken for ours.
if [ -n "${SLURM_HET_SIZE:-}" ] && [ "${SLURM_JOB_ID_HET_GROUP_0:-${SLURM_JOB_ID:-}}" = "${SLURM_JOB_ID:-}" ]; then
  echo "chorale: a heterogeneous job has an MPI world for each of its parts; submit it with equal nodes" >&2
  exit 64
fi
unset "${!SLURM_HET_@}"
%JOB%
restarts=$(timeout 20 squeue -h -j "$job" -O RestartCnt 2>/dev/null | sed -n '1s/^ *\([0-9][0-9]*\) *$/\1/p')
export SLURM_RESTART_COUNT=${restarts:-${SLURM_RESTART_COUNT:-0}}
say() { echo "$(date -u +%FT%TZ) job $job: $*"; }
nodes=$SLURM_JOB_NUM_NODES
ranks=$((nodes * %RANKS%))
export SRUN_CPUS_PER_TASK=%THREADS%  # srun does not read SLURM_CPUS_PER_TASK
say "start $SLURM_RESTART_COUNT, $ranks ranks on $nodes nodes: $SLURM_JOB_NODELIST"

# One barrier of all ranks shows whether a launcher brings them together, before data are read.
by_srun=(srun --mpi=pmix -K1 --nodes="$nodes" --ntasks="$ranks" --ntasks-per-node=%RANKS%)
by_mpirun=(mpirun -q -np "$ranks" --map-by ppr:%RANKS%:node --bind-to none --mca ras_base_launch_orted_on_hn 1)
probe=("$chorale" bench comm --op barrier --sizes 4 --repeat 1 --json)
# Slurm's plug-in loses a task of a busy node while MPI starts, now and then: what works at a second or third try is used all the same.
for try in 1 2 3; do
  SECONDS=0
  if said=$(timeout -k 5 120 "${by_srun[@]}" "${probe[@]}" 2>&1); then
    start=("${by_srun[@]}")
    say "ranks are started by srun --mpi=pmix"
    break
  fi
  say "srun --mpi=pmix brings the ranks not together (try $try of 3): $said"
  [ "$SECONDS" -lt 60 ] || break
done
if [ -z "${start:-}" ]; then
  if said=$(timeout -k 5 120 "${by_mpirun[@]}" "${probe[@]}" 2>&1); then
    start=("${by_mpirun[@]}")
    say "ranks are started by mpirun"
  else
    say "neither does mpirun: $said"
    exit 75
  fi
fi

newest() { ls checkpoints 2>/dev/null | sed -n 's/^step_\([0-9][0-9]*\)$/\1/p' | sort -n | tail -n 1; }
before=$(newest)
lines=$(cat events.jsonl 2>/dev/null | wc -l)
told() { tail -n "+$((lines + 1))" events.jsonl 2>/dev/null; }
state() { squeue -h -j "$job" -o %T 2>/dev/null; }
# Ends by signals, of launchers too; 1 is no code of ours: MPI ends ranks so when it cannot start because another one has died.
is_loss() { [ "$1" = 1 ] || { [ "$1" -ge 128 ] && [ "$1" != 130 ]; }; }
# A node that has gone down and come back may hold the socket of the step that ran on it; srun cannot start one of that number there again.
# The next number is free.
for try in 1 2 3 4 5; do
  SECONDS=0
  "${start[@]}" "$chorale" train "$recipe" --run-dir "$run" --resume "${seed[@]}"
  status=$?
  if ! is_loss "$status" || [ "$SECONDS" -gt 60 ] || [ -n "$(told)" ] || [ "$(state)" != RUNNING ]; then break; fi
  say "no attempt has begun (code $status)"
done
# Launchers lose exit codes; the verdict is the line that the ranks wrote before they left, behind the start of their attempt.
code=$(told | grep -E '"event":"(start|end)"' | tail -n 1 |
  sed -n 's/.*"event":"end".*,"code":\([0-9][0-9]*\),.*/\1/p')
code=${code:-$status}
again=no
if [ "$code" = 99 ]; then
  say "saved at step $(newest)"
  again=yes
elif [ "$code" = 75 ] || is_loss "$code"; then
  say "lost ranks (code $code); the newest checkpoint is of step $(newest)"
  if [ "$(newest)" != "$before" ] || [ "$SLURM_RESTART_COUNT" -lt 3 ]; then again=yes; fi
fi
# A job that was cancelled or has run out of time must not come back.
if [ "$again" = yes ] && [ "$(state)" = RUNNING ]; then
  say "queued again"
  scontrol requeue "$job" || say "it cannot be queued again; go on with: cd $run && sbatch job.sh"
fi
say "ended with $code"
exit "$code"
)sh";

std::string body(const JobRequest& job) {
  std::string out = kBody;
  const auto fill = [&](const std::string& mark, const std::string& text) {
    for (std::size_t at; (at = out.find(mark)) != std::string::npos;) out.replace(at, mark.size(), text);
  };
  fill("%JOB%", job.seeds.empty() ? "unset \"${!SLURM_ARRAY_@}\"\njob=$SLURM_JOB_ID"
                                  : "# An array's last task has the array's own number: only this form means one task alone.\n"
                                    "job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID");
  fill("%RANKS%", std::to_string(job.ranks_per_node));
  fill("%THREADS%", std::to_string(job.threads));
  return out;
}

}  // namespace

std::string batch_script(const JobRequest& job, const SaveLead& lead, const ScriptPaths& paths) {
  refuse_control_characters("the reason of the lead", lead.reason);
  std::string out =
      "#!/bin/bash\n# Written by chorale submit. To submit it again: cd to its folder, sbatch job.sh\n" + directives(job, lead);
  out += fmt::format("# The run is told to save {} s before its limit: {}.\n", lead.seconds, lead.reason);
  out += "set -u\nrun=" + shell_word("the run directory", paths.run) + "\n";
  out += "chorale=" + shell_word("the program's path", paths.program) + "\n";
  out += "recipe=$run/job.ini\n";
  if (job.seeds.empty()) {
    out += "seed=()\n";
  } else {
    out += "run=$run/seed_$SLURM_ARRAY_TASK_ID\nseed=(--train.seed \"$SLURM_ARRAY_TASK_ID\")\n";
  }
  out += "umask 027\nmkdir -p \"$run\" && cd \"$run\" || exit 74\n";
  return out + body(job);
}

}  // namespace chorale
