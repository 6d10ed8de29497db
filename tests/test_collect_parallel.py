"""Reading with several processes: the same rows and warnings, in the same order."""

import concurrent.futures
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hpcdl.collector import collect_rows, parallel
from hpcdl.collector.reading import Reading
from hpcdl.errors import CollectError
from hpcdl.run.local import mpirun_command, mpirun_environment

LOGS = Path(__file__).parent / "logs"
COLLECT = ["-m", "hpcdl", "collect", "--no-sacct", "--no-index", "--format", "csv"]


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The fixtures and some that give warnings, worth several processes."""
    monkeypatch.setattr(parallel, "WORTH_RUNS", 2)
    monkeypatch.setattr(parallel, "BATCH_RUNS", 3)
    folder = tmp_path / "logs"
    shutil.copytree(LOGS, folder)
    for number in range(4):
        (folder / f"k{number}.log").write_bytes(b"")
        (folder / f"k{number}.out.gz").write_bytes(b"\x1f\x8b cut")
    return folder


def collect(*paths: Path, **options) -> tuple[list[str], list[str]]:
    warnings: list[str] = []
    return list(map(repr, collect_rows(paths, warnings.append, **options))), warnings


def test_two_processes_give_the_same_as_one(logs):
    one = collect(logs)
    assert len(one[0]) > 20
    assert len(one[1]) == 8
    assert collect(logs, jobs=2) == one


def test_with_dialects_too(logs, tmp_path):
    dialect = tmp_path / "mine.yaml"
    dialect.write_text("name: mine\nlines:\n  - match: 'loss: (?P<mine>[\\d.]+)'\n    keep: count\n")
    one = collect(logs, dialects=[dialect])
    assert any("'mine'" in row for row in one[0])
    assert collect(logs, dialects=[dialect], jobs=2) == one


def test_other_processes_read(logs, monkeypatch):
    monkeypatch.setattr(parallel.RunReader, "read", lambda reader, run: Reading([], [str(os.getpid())]))
    _, pids = collect(logs, jobs=2)
    assert pids
    assert str(os.getpid()) not in pids


def test_little_is_read_in_this_process(monkeypatch):
    monkeypatch.setattr(concurrent.futures, "ProcessPoolExecutor", None)
    assert collect(LOGS, jobs=8) == collect(LOGS)


def kill(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_is_told_in_one_sentence(logs, monkeypatch):
    monkeypatch.setattr(parallel, "_read_batch", kill)
    with pytest.raises(CollectError, match=r"was killed.*--jobs 1"):
        collect(logs, jobs=2)


def test_an_interrupt_leaves_no_process_behind(logs):
    """What comes while rows are awaited ends the reading at once, and no worker goes on."""
    rows = parallel.read_all([logs / f"k{number}.log" for number in range(8)], [0] * 8, jobs=2)
    next(rows)
    rows.close()
    assert multiprocessing.active_children() == []


def test_batches_keep_the_order_and_are_bounded():
    runs = [Path(str(number)) for number in range(200)]
    sizes = [parallel.BATCH_BYTES if number == 100 else 1 for number in range(200)]
    batches = parallel._batches(runs, sizes)
    assert [run for batch in batches for run in batch] == runs
    assert max(map(len, batches)) == parallel.BATCH_RUNS
    assert any(batch[-1] == Path("100") for batch in batches)


def test_one_rank_alone_is_refused():
    command = [sys.executable, *COLLECT, "--mpi", str(LOGS)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "mpi" in done.stderr


def run_ranks(num_ranks: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = mpirun_command(num_ranks, [sys.executable, *COLLECT, "--mpi", *arguments])
    environment = mpirun_environment(num_ranks)
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.mpi
def test_two_ranks_give_the_same_as_one_process():
    alone = subprocess.run([sys.executable, *COLLECT, str(LOGS)], capture_output=True, text=True, check=True)
    together = run_ranks(2, str(LOGS))
    assert together.stdout == alone.stdout
    assert alone.stdout.count("\n") > 20
    assert together.returncode == 0


@pytest.mark.mpi
def test_two_ranks_end_with_an_error_as_one_does():
    """No rank may wait for work that never comes."""
    done = run_ranks(2, "/no/such/folder")
    assert done.returncode == 2
    assert done.stderr.count("error: no run found") == 1
