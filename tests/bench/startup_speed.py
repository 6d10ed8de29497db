"""How fast the commands of a login node start, beside a bare Python: medians of interleaved runs.

    python tests/bench/startup_speed.py [ROUNDS]

Exit code 1 when one of them takes more than 3 times `python -c pass` plus 0.25 s. It wants a quiet machine.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "hpcdl --help": ["-m", "hpcdl", "--help"],
    "hpcdl render": ["-m", "hpcdl", "render", "jobs/mnist_lecture.yaml", "--site", "jureca"],
    "hpcdl lint": ["-m", "hpcdl", "lint", "tests/golden/mnist_lecture--jureca.sbatch"],
    "hpcdl status": ["-m", "hpcdl", "status", "--runs", "docs", "--offline"],
}


def main() -> int:
    """Measure and print; return the exit code."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    taken_s: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, words in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, check=False)
            taken_s[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(times) for name, times in taken_s.items()}
    limit_s = 3 * medians["python -c pass"] + 0.25
    for name, median_s in medians.items():
        print(f"{name:16} {median_s:.3f} s (median of {rounds}), limit {limit_s:.3f} s")
    return int(max(medians[name] for name in ("hpcdl --help", "hpcdl render", "hpcdl lint")) > limit_s)


if __name__ == "__main__":
    sys.exit(main())
