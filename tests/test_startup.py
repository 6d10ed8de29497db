"""The commands of a login node answer at once: what they import, and how long they take beside a bare Python."""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"tensorflow", "keras", "horovod", "mpi4py", "pandas", "numpy", "matplotlib", "pyarrow", "sklearn"}
COMMANDS = {
    "help": ["--help"],
    "render": ["render", "jobs/mnist_lecture.yaml", "--site", "jureca"],
    "lint": ["lint", "tests/golden/mnist_lecture--jureca.sbatch"],
    "status": ["status", "--runs", "docs", "--offline"],
    "cancel": ["cancel", "--help"],
}
ROUNDS = 7


def run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_command_imports_nothing_heavy(words):
    code = (
        "import sys\nfrom hpcdl.cli import main\n"
        f"sys.argv = ['hpcdl', *{words!r}]\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print('MODULES', *sys.modules)"
    )
    done = run(sys.executable, "-c", code)
    loaded = done.stdout.rpartition("MODULES")[2].split()
    assert "typer" in loaded, done.stderr
    assert not HEAVY & set(loaded)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["help", "render", "lint"])
def test_a_command_starts_in_three_times_a_bare_python_and_a_quarter_of_a_second(name):
    """Medians of interleaved runs, so that a busy machine stretches both."""
    bare, command = [], []
    for _ in range(ROUNDS):
        for times, words in ((bare, ["-c", "pass"]), (command, ["-m", "hpcdl", *COMMANDS[name]])):
            began = time.perf_counter()
            done = run(sys.executable, *words)
            times.append(time.perf_counter() - began)
            assert done.returncode == 0, done.stderr
    limit = 3 * statistics.median(bare) + 0.25
    assert statistics.median(command) <= limit, f"{statistics.median(command):.3f} s, limit {limit:.3f} s"
