"""How fast the commands of a login node start, beside a bare Python: medians of interleaved runs.

    python tests/bench/startup_speed.py [ROUNDS]

Exit code 1 when one of them takes more than 3 times `python -c pass` plus 0.25 s. It wants a quiet machine.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests"))

from run_folders import make_run  # noqa: E402 it is in the folder above

RUNS = 20
"""That `hpcdl status` looks at."""
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "hpcdl --help": ["-m", "hpcdl", "--help"],
    "hpcdl render": ["-m", "hpcdl", "render", "jobs/mnist_lecture.yaml", "--site", "jureca"],
    "hpcdl lint": ["-m", "hpcdl", "lint", "tests/golden/mnist_lecture--jureca.sbatch"],
    "hpcdl status": ["-m", "hpcdl", "status", "--offline"],
}
"""Arguments of Python by name; `hpcdl status` looks at the runs of the working folder."""


def make_folder(folder: Path) -> Path:
    """Make a folder to work in that has what the commands read."""
    for name in ("jobs", "tests"):
        (folder / name).symlink_to(ROOT / name)
    for number in range(RUNS):
        make_run(folder / "runs", f"mnist-{number}")
    return folder


def main() -> int:
    """Measure and print; return the exit code."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    taken_s: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as name:
        folder = make_folder(Path(name))
        for _ in range(rounds):
            for name, words in COMMANDS.items():
                began = time.perf_counter()
                subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, check=True)
                taken_s[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(times) for name, times in taken_s.items()}
    limit_s = 3 * medians["python -c pass"] + 0.25
    for name, median_s in medians.items():
        print(f"{name:16} {median_s:.3f} s (median of {rounds}), limit {limit_s:.3f} s")
    return int(max(medians[name] for name in ("hpcdl --help", "hpcdl render", "hpcdl lint")) > limit_s)


if __name__ == "__main__":
    sys.exit(main())
