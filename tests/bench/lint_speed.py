"""How fast `hpcdl lint` and the reader are: python tests/bench/lint_speed.py [FOLDER] [NUMBER].

Lints NUMBER scripts (default 10000): those of FOLDER over and over, or one typical script of 30 lines.
"""

import sys
import time
from pathlib import Path

from hpcdl.slurm.directives import read_script
from hpcdl.slurm.lint import check

TYPICAL = (
    b"#!/bin/bash -x\n#SBATCH --job-name=train\n#SBATCH --account=project1\n#SBATCH --nodes=2\n"
    b"#SBATCH --ntasks-per-node=4\n"
    b"#SBATCH --cpus-per-task=8\n#SBATCH --gres=gpu:4\n#SBATCH --time=01:00:00\n#SBATCH --partition=gpus\n"
    b"#SBATCH --mail-type=END\n"
    b"#SBATCH --output=train.%j.out # the log\n#SBATCH --error=train.%j.err\n\nset -e\nmodule load Python\n"
    + b"export OMP_NUM_THREADS=8\n" * 13
    + b"srun --cpus-per-task=8 python train.py\n"
)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    number = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    scripts = [path.read_bytes() for path in folder.iterdir() if path.is_file()] if folder else [TYPICAL]
    surroundings = check.bare((22, 5))
    for name, act in (
        ("read", lambda data: read_script(data, (), surroundings)),
        ("lint", lambda data: check.lint(data, (22, 5), surroundings)),
    ):
        begin = time.perf_counter()
        for index in range(number):
            act(scripts[index % len(scripts)])
        print(f"{name}: {number} scripts in {time.perf_counter() - begin:.2f} s")


if __name__ == "__main__":
    main()
