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
#SBATCH --partition=dc-gpu
#SBATCH --gres=gpu:4

module use "$OTHERSTAGES" || exit
module load Stages/2025 || exit
set -euo pipefail  # not before this line: module and activation scripts read variables that are not set

srun --kill-on-bad-exit=1 --cpus-per-task=32 hpcdl train train.yaml
