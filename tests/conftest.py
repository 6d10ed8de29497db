"""What all tests share: the golden files, a clean place for the user's settings, the real data, real MPI ranks."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

from hpcdl.run.local import mpirun_command, mpirun_environment

GOLDEN = Path(__file__).parent / "golden"
PROGRAMS = Path(__file__).parent / "mpi" / "programs"
MPI_TIMEOUT_S = 240  # only a hang takes as long

# Hypothesis draws the same examples in every run, so that a change alone decides; HPCDL_FUZZ=1 hunts with new ones.
hypothesis.settings.register_profile("same", derandomize=True)
if "HPCDL_FUZZ" not in os.environ:
    hypothesis.settings.load_profile("same")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regold", action="store_true", help="write the golden files anew; review their diff")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in a hook of the same name
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the Slurm tests, which mostly wait, run beside those that compute (--dist loadgroup), and each kind alone."""
    for item in items:
        slurm = item.path.is_relative_to(Path(__file__).parent / "slurm")
        if slurm:
            item.add_marker(pytest.mark.slurm)
        item.add_marker(pytest.mark.xdist_group("slurm" if slurm else "computing"))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with tests/golden/NAME, line by line and to the last line; a missing file fails."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--regold"):
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path} is missing; write it with `pytest --regold` and review it"
        assert text.splitlines(keepends=True) == path.read_text(encoding="utf-8").splitlines(keepends=True)

    return check


@pytest.fixture(autouse=True)
def _settings_of_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The settings and the terminal of whoever runs the tests must not change what they see."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
    monkeypatch.delenv("COLUMNS", raising=False)  # xdist sets it


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """The folder of the real MNIST. Where it is not there the test is skipped, in CI it fails."""
    folder = Path(os.environ.get("HPCDL_DATA", "")).resolve() / "mnist"
    if os.environ.get("HPCDL_DATA") and folder.is_dir():
        return folder
    message = "the real MNIST is not there: set HPCDL_DATA to the folder that holds mnist/"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def run_ranks() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs a program of tests/mpi/programs on so many MPI ranks and returns how it ended."""

    def run(program: str | Path, num_ranks: int, *arguments: object, **variables: str):
        command = mpirun_command(num_ranks, [sys.executable, str(PROGRAMS / program), *map(str, arguments)])
        environment = {**mpirun_environment(num_ranks), "TF_CPP_MIN_LOG_LEVEL": "2", **variables}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=MPI_TIMEOUT_S)

    return run
