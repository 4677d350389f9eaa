#!/bin/bash
# The program inside an Apptainer image, one container a rank. PMIx and Open MPI inside must be of the kind that Slurm has outside.
#   IMAGE=/path/chorale.sif RECIPE=/path/my.ini sbatch --nodes=2 --ntasks-per-node=4 --time=04:00:00 /path/slurm/container.sh
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
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
lines=$(wc -l 2>/dev/null <"$run/events.jsonl" || echo 0)
# PMIx speaks over files below Slurm's TmpFS, and ranks of a node share memory: they need one /tmp and one process space. Apptainer hands
# signals on. Folders of data outside this one: APPTAINER_BIND=/data
srun --mpi=pmix -K1 apptainer exec --bind /tmp --bind "$PWD" --bind "$(dirname "$(realpath "$RECIPE")")" --pwd "$PWD" "$IMAGE" \
  chorale train "$RECIPE" --run-dir "$run" "${flags[@]}"
code=$?
# srun loses exit codes; the ranks' verdict is the last line of this attempt.
verdict=$(tail -n "+$((lines + 1))" "$run/events.jsonl" 2>/dev/null | grep -E '"event":"(start|end)"' | tail -n 1 |
  sed -n 's/.*"event":"end".*,"code":\([0-9]*\),.*/\1/p')
code=${verdict:-$code}
[ "$code" != 99 ] || echo "saved before the limit; go on with --resume among FLAGS"
echo "ended with $code"
exit "$code"
