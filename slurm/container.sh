#!/bin/bash
# The program inside an Apptainer image, one container a rank. PMIx and Open MPI inside must be of the kind that Slurm has outside.
#   IMAGE=/path/chorale.sif RECIPE=/path/my.ini sbatch --nodes=2 --ntasks-per-node=4 --time=04:00:00 /path/slurm/container.sh
#SBATCH --job-name=chorale
#SBATCH --time=01:00:00
#SBATCH --cpus-per-task=1
#SBATCH --output=slurm-%j.out
set -u
if [ -n "${SLURM_HET_SIZE:-}" ]; then
  echo "a heterogeneous job has an MPI world for each of its parts; submit it with equal nodes" >&2
  exit 64
fi
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
# PMIx speaks over files below Slurm's TmpFS, and ranks of a node share memory: they need one /tmp and one process space.
srun --mpi=pmix -K1 apptainer exec --bind /tmp --bind "$PWD" --pwd "$PWD" "$IMAGE" chorale train "$RECIPE" --run-dir run
