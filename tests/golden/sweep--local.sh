#!/bin/bash

set -euo pipefail  # not before this line: module and activation scripts read variables that are not set

failed=0
for point in 0 1 2 3 4; do
    mpirun -n 4 hpcdl train sweep.yaml --point "$point" || failed=$?
done
exit "$failed"
