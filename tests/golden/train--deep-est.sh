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
#SBATCH --partition=dp-esb
#SBATCH --gres=gpu:1

set -euo pipefail  # not before this line: module and activation scripts read variables that are not set

srun --kill-on-bad-exit=1 hpcdl train train.yaml
