#!/bin/bash
# A recipe on CPU ranks, once. From the folder that is to hold the run:
#   RECIPE=/path/my.ini sbatch --nodes=2 --ntasks-per-node=4 --time=04:00:00 /path/slurm/cpu.sh
#SBATCH --job-name=chorale
#SBATCH --time=01:00:00
#SBATCH --cpus-per-task=1
#SBATCH --signal=USR2@180
#SBATCH --output=slurm-%j.out
set -u
umask 027
# sbatch hands on the environment that it was started in: a job above may have left its own parts and numbers there.
if [ -n "${SLURM_HET_SIZE:-}" ] && [ "${SLURM_JOB_ID_HET_GROUP_0:-$SLURM_JOB_ID}" = "$SLURM_JOB_ID" ]; then
  echo "a heterogeneous job has an MPI world for each of its parts; submit it with equal nodes" >&2
  exit 64
fi
unset "${!SLURM_ARRAY_@}"
# FLAGS are words as a shell has them, quotes and all; nothing in them is run.
flags=()
if [ -n "${FLAGS:-}" ]; then
  mapfile -d '' -t flags < <(xargs -r printf '%s\0' <<<"$FLAGS")
  wait "$!" || exit 64
fi
run=run
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK  # srun does not read SLURM_CPUS_PER_TASK
lines=$(wc -l 2>/dev/null <"$run/events.jsonl" || echo 0)
# --mpi=pmix needs libpmix.so on every node (Debian: libpmix-dev); -K1 ends the step when a rank dies. The signal goes to the ranks.
srun --mpi=pmix -K1 chorale train "$RECIPE" --run-dir "$run" "${flags[@]}"
code=$?
# srun loses exit codes; the ranks' verdict is the last line of this attempt.
verdict=$(tail -n "+$((lines + 1))" "$run/events.jsonl" 2>/dev/null | grep -E '"event":"(start|end)"' | tail -n 1 |
  sed -n 's/.*"event":"end".*,"code":\([0-9]*\),.*/\1/p')
code=${verdict:-$code}
[ "$code" != 99 ] || echo "saved before the limit; go on with --resume among FLAGS"
echo "ended with $code"
exit "$code"
