"""The commands of a login node answer at once: what they import, and what they take beside a bare Python."""

import os
import subprocess
import sys
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


@pytest.mark.parametrize("name", ["help", "render", "lint"])
def test_a_command_takes_no_more_than_twice_what_is_promised(name):
    """The promise is 3 bare Pythons and 0.25 s (tests/bench/startup_speed.py); here a busy machine may double it."""

    def processor_s(*words: str) -> float:
        before = os.times()
        assert run(sys.executable, *words).returncode == 0
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    bare = min(processor_s("-c", "pass") for _ in range(3))
    assert min(processor_s("-m", "hpcdl", *COMMANDS[name]) for _ in range(3)) <= 2 * (3 * bare + 0.25)
