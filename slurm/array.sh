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
if [ -n "${SLURM_HET_SIZE:-}" ]; then
  echo "a heterogeneous job has an MPI world for each of its parts; submit it with equal nodes" >&2
  exit 64
fi
read -ra flags <<<"${FLAGS:-}"
# Only ARRAY_TASK names one of them: the last one's SLURM_JOB_ID is the number of the whole array.
job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID run=run_$SLURM_ARRAY_TASK_ID
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
lines=$(cat "$run/events.jsonl" 2>/dev/null | wc -l)
srun --mpi=pmix -K1 chorale train "$RECIPE" --run-dir "$run" --resume --train.seed "$SLURM_ARRAY_TASK_ID" "${flags[@]}"
code=$?
verdict=$(tail -n "+$((lines + 1))" "$run/events.jsonl" | grep -E '"event":"(start|end)"' | tail -n 1 |
  sed -n 's/.*"event":"end".*,"code":\([0-9]*\),.*/\1/p')
code=${verdict:-$code}
if [ "$code" = 99 ] && [ "$(squeue -h -j "$job" -o %T)" = RUNNING ]; then
  echo "queued again"
  scontrol requeue "$job"
fi
echo "ended with $code"
exit "$code"
