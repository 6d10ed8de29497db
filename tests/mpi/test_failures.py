"""What goes wrong on one rank stops all of them, with one sentence, and never leaves them waiting."""

import json
import re
import time
from pathlib import Path

import pytest

from hpcdl.exits import Exit

pytestmark = [pytest.mark.mpi, pytest.mark.slow]

JOB = """
name: sabotaged
resources: {nodes: 1, ranks_per_node: 2, time: "00:10:00"}
train:
  model: mnist_cnn
  data: digits
  epochs: 400        # long enough that only a failure ends it
  batch_size: 8
  optimizer: {name: sgd, learning_rate: 0.01}
  check_weights_every: 5
"""


@pytest.fixture
def sabotage(run_ranks, tmp_path):
    """Return a function that runs a sabotaged training on two ranks: how it ended, seconds since the fault."""

    def run(kind: str, **variables: str):
        job_file, mark = tmp_path / "job.yaml", tmp_path / "mark"
        job_file.write_text(JOB)
        (tmp_path / "other.yaml").write_text(JOB.replace("0.01", "0.02"))
        ended = run_ranks("sabotage.py", 2, kind, job_file, tmp_path / "runs", mark, **variables)
        return ended, time.time() - float(mark.read_text()) if mark.exists() else None

    return run


def sentences(ended) -> list[str]:
    return [line for line in ended.stderr.splitlines() if line.startswith("error: ")]


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [
        ("data", r"error: the checksum of the data set digits differs: rank [01] on \S+ has '\w{64}'"),
        ("absent", r"error: rank 1 on \S+: no digits here"),
        ("job", r"error: the hash of the job file differs: rank [01] on \S+ has '\w{64}'"),
        ("versions", r"error: the versions of the software differs: rank [01] on \S+ has .*'keras': '3"),
    ],
)
def test_a_rank_that_differs_is_refused_before_the_first_step(sabotage, kind, pattern):
    ended, _ = sabotage(kind)
    assert ended.returncode == 2
    assert len(sentences(ended)) == 1, ended.stderr
    assert re.match(pattern, sentences(ended)[0]), sentences(ended)
    assert "Epoch 1/" not in ended.stdout


def test_weights_that_drift_apart_are_noticed(sabotage):
    ended, _ = sabotage("weights")
    assert ended.returncode == 2
    assert re.match(r"error: the hash of the weights after step \d+ differs: rank [01] on \S+", sentences(ended)[0])


def test_a_loss_that_is_not_finite_stops_all_ranks(sabotage):
    ended, _ = sabotage("nan")
    assert ended.returncode == Exit.DIVERGED
    assert re.match(r"error: rank 1 on \S+: the loss became nan before step \d+", sentences(ended)[0])


def test_an_exception_on_one_rank_ends_all_within_seconds(sabotage):
    ended, seconds = sabotage("raise")
    assert ended.returncode == 1
    assert seconds is not None
    assert seconds < 30
    assert "ValueError: rank 1 has had enough" in ended.stderr
    assert re.search(r"error: rank 1 on \S+ failed; all ranks are stopped.", ended.stderr)


def test_a_killed_rank_ends_the_run_within_seconds(sabotage):
    ended, seconds = sabotage("kill")
    assert ended.returncode != 0
    assert seconds is not None
    assert seconds < 30


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_stops_answering_is_named_and_ends_the_run(sabotage, tmp_path, rank):
    ended, seconds = sabotage(f"stop_{rank}")
    assert ended.returncode == Exit.RANK_LOST
    assert 5 < seconds < 60  # its last sign came up to some seconds before the mark
    assert len(sentences(ended)) == 1, ended.stderr
    told = sentences(ended)[0]
    assert re.match(
        rf"error: rank {rank} on \S+ has not answered for 10 s\. Its last word: training in step \d+\.", told
    )
    record = json.loads(next(Path(tmp_path / "runs").glob("*/record.json")).read_text())
    assert record["status"] == "aborted"
    assert f"rank {rank} on " in record["reason"]


def test_a_rank_that_keeps_the_others_waiting_is_named(sabotage):
    ended, _ = sabotage("late")
    told = [line for line in ended.stderr.splitlines() if line.startswith("warning: rank")]
    assert len(told) == 1, ended.stderr
    assert re.match(
        r"warning: rank 1 on \S+ has been reading its inputs for step \d+ for [3-9] s; the others wait", told[0]
    )


@pytest.mark.parametrize("variable", ["HPCDL_RANKS", "SLURM_NTASKS"])
def test_another_number_of_ranks_than_asked_for_is_refused(sabotage, variable):
    """As when srun starts the processes without PMIx: each finds itself alone."""
    variables = {"HPCDL_RANKS": "", "SLURM_NTASKS": "", variable: "4"}
    ended, _ = sabotage("nothing", **variables)
    assert ended.returncode == 2
    assert f"error: 4 ranks were asked for ({variable}=4), but there are 2" in ended.stderr


def test_a_refused_run_is_recorded_as_aborted_with_its_reason(sabotage, tmp_path):
    sabotage("data")
    record = json.loads(next(Path(tmp_path / "runs").glob("*/record.json")).read_text())
    assert record["status"] == "aborted"
    assert "the checksum of the data set digits differs" in record["reason"]
