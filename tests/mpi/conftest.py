"""Starting real MPI ranks for a test."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hpcdl.run.local import mpirun_command, mpirun_environment

PROGRAMS = Path(__file__).parent / "programs"
TIMEOUT_S = 240  # only a hang takes as long


@pytest.fixture(scope="session")
def run_ranks() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs a program of tests/mpi/programs on so many ranks and returns how it ended."""

    def run(program: str, num_ranks: int, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        command = mpirun_command(num_ranks, [sys.executable, str(PROGRAMS / program), *map(str, arguments)])
        environment = {**mpirun_environment(num_ranks), "TF_CPP_MIN_LOG_LEVEL": "2", **variables}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)

    return run
