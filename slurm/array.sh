#!/bin/bash
# One run for each seed, each in a folder of its own, each queued again by itself.
#   RECIPE=/path/my.ini sbatch --array=1-5 --nodes=1 --ntasks-per-node=4 --time=04:00:00 /path/slurm/array.sh
#SBATCH --job-name=chorale
#SBATCH --time=01:00:00
#SBATCH --cpus-per-task=1
#SBATCH --signal=USR2@180
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=slurm-%A_%a.out
set -u
umask 027
# sbatch hands on the environment that it was started in: a job above may have left its own parts and numbers there.
if [ -n "${SLURM_HET_SIZE:-}" ] && [ "${SLURM_JOB_ID_HET_GROUP_0:-$SLURM_JOB_ID}" = "$SLURM_JOB_ID" ]; then
  echo "a heterogeneous job has an MPI world for each of its parts; submit it with equal nodes" >&2
  exit 64
fi
# FLAGS are words as a shell has them, quotes and all; nothing in them is run.
flags=()
if [ -n "${FLAGS:-}" ]; then
  mapfile -d '' -t flags < <(xargs -r printf '%s\0' <<<"$FLAGS")
  wait "$!" || exit 64
fi
# Only ARRAY_TASK names one of them: the last one's SLURM_JOB_ID is the number of the whole array.
job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID run=run_$SLURM_ARRAY_TASK_ID
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
lines=$(wc -l 2>/dev/null <"$run/events.jsonl" || echo 0)
srun --mpi=pmix -K1 chorale train "$RECIPE" --run-dir "$run" --resume --train.seed "$SLURM_ARRAY_TASK_ID" "${flags[@]}"
code=$?
# srun loses exit codes; the ranks' verdict is the last line of this attempt.
verdict=$(tail -n "+$((lines + 1))" "$run/events.jsonl" 2>/dev/null | grep -E '"event":"(start|end)"' | tail -n 1 |
  sed -n 's/.*"event":"end".*,"code":\([0-9]*\),.*/\1/p')
code=${verdict:-$code}
if [ "$code" = 99 ] && [ "$(squeue -h -j "$job" -o %T)" = RUNNING ]; then
  echo "queued again"
  scontrol requeue "$job"
fi
echo "ended with $code"
exit "$code"
