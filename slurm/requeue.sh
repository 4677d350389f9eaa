#!/bin/bash
# A run that is longer than a job may be: told to save three minutes before the limit, queued again, resumed. As chorale submit does it, which
# also measures how long a save takes and finds out whether srun or mpirun brings the ranks together.
#   RECIPE=/path/my.ini sbatch --nodes=2 --ntasks-per-node=4 --time=04:00:00 /path/slurm/requeue.sh
#SBATCH --job-name=chorale
#SBATCH --time=01:00:00
#SBATCH --cpus-per-task=1
#SBATCH --signal=USR2@180
#SBATCH --requeue
#SBATCH --open-mode=append
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
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
lines=$(wc -l 2>/dev/null <"$run/events.jsonl" || echo 0)
# The signal goes to the ranks, not to this script. --resume goes on from the newest checkpoint, or starts where there is none.
srun --mpi=pmix -K1 chorale train "$RECIPE" --run-dir "$run" --resume "${flags[@]}"
code=$?
# srun loses exit codes; the ranks' verdict is the last line of this attempt.
verdict=$(tail -n "+$((lines + 1))" "$run/events.jsonl" 2>/dev/null | grep -E '"event":"(start|end)"' | tail -n 1 |
  sed -n 's/.*"event":"end".*,"code":\([0-9]*\),.*/\1/p')
code=${verdict:-$code}
# 99: saved because it was told to. A job that was cancelled meanwhile must not come back.
if [ "$code" = 99 ] && [ "$(squeue -h -j "$SLURM_JOB_ID" -o %T)" = RUNNING ]; then
  echo "queued again"
  scontrol requeue "$SLURM_JOB_ID"
fi
echo "ended with $code"
exit "$code"
