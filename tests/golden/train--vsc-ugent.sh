#!/bin/bash
#PBS -N golden
#PBS -l nodes=2:ppn=32:gpus=4
#PBS -l walltime=00:30:00
#PBS -A example
#PBS -m abe
#PBS -M you@example.org
# Before qsub: module swap cluster/joltik

cd "$PBS_O_WORKDIR" || exit
module load vsc-mympirun || exit
set -euo pipefail  # not before this line: module and activation scripts read variables that are not set

mypmirun --hybrid=4 hpcdl train train.yaml
