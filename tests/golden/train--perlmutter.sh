#!/bin/bash
#SBATCH --nodes=2
#SBATCH --ntasks=8
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --output=mnist_out.%j
#SBATCH --error=mnist_err.%j
#SBATCH --time=00:30:00
#SBATCH --account=example
#SBATCH --mail-user=you@example.org
#SBATCH --mail-type=ALL
#SBATCH --job-name=golden
#SBATCH --qos=regular
#SBATCH --constraint=gpu
#SBATCH --gpus-per-node=4
#SBATCH --gpu-bind=none

export MPICH_OFI_NIC_POLICY=GPU
export FI_MR_CACHE_MONITOR=userfaultfd
set -euo pipefail  # not before this line: module and activation scripts read variables that are not set

srun --kill-on-bad-exit=1 --cpus-per-task=32 hpcdl train train.yaml
