#!/bin/bash -x
#SBATCH --array=0-4%2
#SBATCH --nodes=1
#SBATCH --ntasks=4
#SBATCH --output=mnist_out.%A_%a
#SBATCH --error=mnist_err.%A_%a
#SBATCH --time=02:00:00
#SBATCH --job-name=rates
#SBATCH --partition=gpus
#SBATCH --gres=gpu:4

module restore dl_tutorial || exit
set -euo pipefail  # not before this line: module and activation scripts read variables that are not set

srun --kill-on-bad-exit=1 hpcdl train sweep.yaml --point "$SLURM_ARRAY_TASK_ID"
