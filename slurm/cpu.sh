#!/bin/bash
# A recipe on CPU ranks, once. From the folder that is to hold the run:
#   RECIPE=/path/my.ini sbatch --nodes=2 --ntasks-per-node=4 --time=04:00:00 /path/slurm/cpu.sh
#SBATCH --job-name=chorale
#SBATCH --time=01:00:00
#SBATCH --cpus-per-task=1
#SBATCH --output=slurm-%j.out
set -u
if [ -n "${SLURM_HET_SIZE:-}" ]; then
  echo "a heterogeneous job has an MPI world for each of its parts; submit it with equal nodes" >&2
  exit 64
fi
read -ra flags <<<"${FLAGS:-}"
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK  # srun does not read SLURM_CPUS_PER_TASK
# --mpi=pmix needs libpmix.so on every node (Debian: libpmix-dev); -K1 ends the step when a rank dies.
srun --mpi=pmix -K1 chorale train "$RECIPE" --run-dir run "${flags[@]}"
code=$?
echo "ended with $code"
exit "$code"
