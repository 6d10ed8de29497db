#!/bin/bash -l
#SBATCH --nodes=2
#SBATCH --ntasks=8
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=9
#SBATCH --output=mnist_out.%j
#SBATCH --error=mnist_err.%j
#SBATCH --time=00:30:00
#SBATCH --account=lp_example
#SBATCH --mail-user=you@example.org
#SBATCH --mail-type=ALL
#SBATCH --job-name=golden
#SBATCH --partition=gpu_p100
#SBATCH --gpus-per-node=4
#SBATCH --clusters=genius

set -euo pipefail  # not before this line: module and activation scripts read variables that are not set

mpirun -n 8 hpcdl train train.yaml
