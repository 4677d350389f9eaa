#!/bin/bash
# One rank a GPU. Chorale itself trains on CPUs today; the program that is started is one of your own on libchorale, with gradients from a GPU
# (examples/bring_your_own_gradients).
#   PROGRAM=/path/torch_module sbatch --nodes=2 --gpus-per-node=4 --ntasks-per-node=4 --time=04:00:00 /path/slurm/gpu.sh
#SBATCH --job-name=chorale-gpu
#SBATCH --time=01:00:00
#SBATCH --cpus-per-task=8
#SBATCH --output=slurm-%j.out
set -u
if [ -n "${SLURM_HET_SIZE:-}" ]; then
  echo "a heterogeneous job has an MPI world for each of its parts; submit it with equal nodes" >&2
  exit 64
fi
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
# Every rank sees all GPUs of its node and takes that of its place (SLURM_LOCALID): with --gpus-per-task it would see one, and ranks of a node
# could not reach each other's memory.
srun --mpi=pmix -K1 --gpus-per-node="${SLURM_GPUS_PER_NODE:?ask for --gpus-per-node}" "$PROGRAM"
