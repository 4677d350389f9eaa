#!/bin/bash
# One rank a GPU. Chorale itself trains on CPUs today; the program that is started is one of your own on libchorale, with gradients from a GPU
# (examples/bring_your_own_gradients). RECIPE, where it is given, is its first word, and FLAGS are the others. Its verdict counts where it writes
# run/events.jsonl as chorale train does, and else its exit code.
#   PROGRAM=/path/torch_module FLAGS='100,128,64,1 32' sbatch --nodes=2 --gpus-per-node=4 --ntasks-per-node=4 --time=04:00:00 /path/slurm/gpu.sh
#SBATCH --job-name=chorale-gpu
#SBATCH --time=01:00:00
#SBATCH --cpus-per-task=8
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
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
lines=$(wc -l 2>/dev/null <"$run/events.jsonl" || echo 0)
# Every rank sees all GPUs of its node and takes that of its place (SLURM_LOCALID): with --gpus-per-task it would see one, and ranks of a node
# could not reach each other's memory. A program that has no handler of the signal before the limit is not ended by it.
# shellcheck disable=SC2016 # the shell inside reads $@
srun --mpi=pmix -K1 --gpus-per-node="${SLURM_GPUS_PER_NODE:?ask for --gpus-per-node}" \
  bash -c 'trap "" USR2; exec "$@"' bash "$PROGRAM" ${RECIPE:+"$RECIPE"} "${flags[@]}"
code=$?
# srun loses exit codes; the ranks' verdict is the last line of this attempt.
verdict=$(tail -n "+$((lines + 1))" "$run/events.jsonl" 2>/dev/null | grep -E '"event":"(start|end)"' | tail -n 1 |
  sed -n 's/.*"event":"end".*,"code":\([0-9]*\),.*/\1/p')
code=${verdict:-$code}
echo "ended with $code"
exit "$code"
