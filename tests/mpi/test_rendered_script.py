"""A rendered script, run as it stands on this machine: what `bash job.sh` trains and how it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpcdl.job import load_job
from hpcdl.run.local import mpirun_environment
from hpcdl.script import render
from hpcdl.settings import Settings
from hpcdl.site import load_site

pytestmark = [pytest.mark.mpi, pytest.mark.slow]

JOB = """\
name: seeds
resources: {ranks_per_node: 2, time: "00:05:00"}
train: {model: mnist_cnn, data: digits, epochs: 2, batch_size: 64}
sweep: {grid: {train.seed: [1, 2]}}
"""


def run_script(folder: Path, changes: list[str]) -> subprocess.CompletedProcess[str]:
    (folder / "job.yaml").write_text(JOB)
    script = render(load_job(folder / "job.yaml"), "job.yaml", load_site("local"), Settings(), changes)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**mpirun_environment(2), "PATH": path, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=240
    )


def test_each_point_of_a_sweep_becomes_a_run_with_the_changes_of_the_command_line(tmp_path):
    ended = run_script(tmp_path, ["train.epochs=1"])
    assert ended.returncode == 0, ended.stderr
    records = [json.loads(path.read_text()) for path in tmp_path.glob("runs/seeds-*/[01]/record.json")]
    trained = sorted((record["job"]["train"]["seed"], record["job"]["train"]["epochs"]) for record in records)
    assert trained == [(1, 1), (2, 1)]
    assert {record["status"] for record in records} == {"success"}


def test_a_fault_is_told_once_for_each_point_and_is_the_exit_code_of_the_script(tmp_path):
    ended = run_script(tmp_path, ["train.epoch=1"])
    assert ended.returncode == 2
    told = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert len(told) == 2, ended.stderr
    assert all("train.epoch: unknown key. Did you mean 'epochs'?" in line for line in told)
