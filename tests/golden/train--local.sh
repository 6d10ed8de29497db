#!/bin/bash

set -euo pipefail  # not before this line: module and activation scripts read variables that are not set

mpirun -n 2 hpcdl train train.yaml
