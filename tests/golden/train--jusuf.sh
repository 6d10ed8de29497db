#!/bin/bash
#SBATCH --nodes=2
#SBATCH --ntasks=2
#SBATCH --ntasks-per-node=1
#SBATCH --output=mnist_out.%j
#SBATCH --error=mnist_err.%j
#SBATCH --time=00:30:00
#SBATCH --account=example
#SBATCH --mail-user=you@example.org
#SBATCH --mail-type=ALL
#SBATCH --job-name=golden
#SBATCH --partition=gpus
#SBATCH --gres=gpu:1

module use "$OTHERSTAGES" || exit
module load Stages/2025 || exit
export PSP_CUDA_ENFORCE_STAGING=1
export UCX_MAX_RNDV_RAILS=1
set -euo pipefail  # not before this line: module and activation scripts read variables that are not set

srun --kill-on-bad-exit=1 hpcdl train train.yaml
