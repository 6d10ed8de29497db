"""Two ranks that are stopped by a signal, or killed, go on to what the uninterrupted run reaches."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hpcdl import runlog

pytestmark = [pytest.mark.mpi, pytest.mark.slow]

JOB = """
name: resumed
resources: {nodes: 1, ranks_per_node: 2, time: "00:10:00"}
train:
  model: mnist_cnn
  data: digits
  epochs: 4
  batch_size: 32
  dropout: 0.4
  augment: {shift: 1}
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What the uninterrupted run reaches."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "job.yaml").write_text(JOB)
    subprocess.run(hpcdl("run", folder / "job.yaml", "--runs", folder / "runs"), check=True, capture_output=True)
    return reached(next((folder / "runs").iterdir()))


def hpcdl(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "hpcdl", *map(str, arguments)]


def reached(folder: Path) -> tuple[str, dict[int, float]]:
    events, _ = runlog.read_events((folder / runlog.METRICS_FILE).read_text().splitlines())
    return events[-1]["weight_hash"], {event["epoch"]: event["loss"] for event in events if event["event"] == "epoch"}


def ranks_of(folder: Path) -> list[int]:
    """The process ids of the ranks of a run, found by the job file on their command lines."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(folder / "job.yaml") in words and b"train" in words and b"-n" not in words:
            found.append(int(process.name))
    return sorted(found)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGKILL])
def test_a_run_goes_on_after_a_signal_to_one_rank(whole, tmp_path, number):
    (tmp_path / "job.yaml").write_text(JOB)
    command = hpcdl("run", tmp_path / "job.yaml", "--runs", tmp_path / "runs")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith("Epoch 3/"):
                break
        (folder,) = (tmp_path / "runs").iterdir()
        os.kill(ranks_of(folder)[1], number)
        _, errors = process.communicate(timeout=120)
    record = json.loads((folder / "record.json").read_text())
    assert record["status"] == "aborted"
    if number == signal.SIGUSR1:
        assert process.returncode == 75
        assert "SIGUSR1 stopped the run after" in record["reason"]
        assert errors.count("it goes on from its checkpoint") == 1
        (row,) = json.loads(subprocess.check_output(hpcdl("collect", tmp_path / "runs", "--format", "json")))
        assert row["outcome"] == "time_limit"  # what Slurm sends SIGUSR1 for
        assert row["cause"] == record["reason"]
    else:
        assert process.returncode not in (0, 75)
    resumed = subprocess.run(hpcdl("resume", folder), capture_output=True, text=True, timeout=240)
    assert resumed.returncode == 0, resumed.stderr
    assert "Continue after step" in resumed.stdout
    assert reached(folder) == whole
    record = json.loads((folder / "record.json").read_text())
    assert (record["status"], record["exit_code"], record["reason"]) == ("success", 0, None)

    again = subprocess.run(hpcdl("resume", folder), capture_output=True, text=True)
    assert again.returncode == 2
    assert "this run has finished" in again.stderr
