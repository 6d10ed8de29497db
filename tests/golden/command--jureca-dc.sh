#!/bin/bash
#SBATCH --nodes=2
#SBATCH --ntasks=8
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --mem=400G
#SBATCH --output=resnet_out.%j
#SBATCH --error=resnet_err.%j
#SBATCH --time=12:00:00
#SBATCH --account=example
#SBATCH --job-name=resnet
#SBATCH --partition=dc-gpu
#SBATCH --gres=gpu:4
#SBATCH --exclusive

module use "$OTHERSTAGES" || exit
module load Stages/2025 || exit
module load GCC || exit
module load CUDA || exit
source /project/example/venv/bin/activate || exit
export OMP_NUM_THREADS=8
export NOTE='one $HOME, taken literally'
set -euo pipefail  # not before this line: module and activation scripts read variables that are not set

# Where ranks that are no MPI ranks meet (torch.distributed): the first node, and a port of the job's own.
MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p)i
export MASTER_ADDR MASTER_PORT=$((20000 + SLURM_JOB_ID % 10000))
srun --kill-on-bad-exit=1 --cpus-per-task=32 python train.py --data 'my images' --epochs 90
