"""A real training that is stopped before its time limit, requeued, and ends as if nothing had been."""

import sys
from pathlib import Path

import pytest
from rendered_job import Submitted, submit
from slurm_session import Slurm

from hpcdl import runlog
from hpcdl.run import record
from hpcdl.sandbox.waiting import wait_until
from hpcdl.settings import Settings

EPOCHS = 12  # so many that the notice comes long before the last
JOB = {
    "name": "resumed",
    "resources": {"nodes": 2, "memory_per_node_gib": 2, "time": "00:10:00"},
    "train": {
        "model": "mnist_cnn",
        "data": "digits",
        "epochs": EPOCHS,
        "batch_size": 32,
        "dropout": 0.4,
        "augment": {"shift": 1},
    },
}


def train(slurm: Slurm, name: str) -> Submitted:
    folder = slurm.folder / name
    folder.mkdir()
    (folder / "job.yaml").write_text(str(JOB))  # Python's spelling of it is YAML as well
    variables = {"PYTHONPATH": str(Path(__file__).parents[2]), "OMPI_MCA_mpi_yield_when_idle": "1"}
    return submit(slurm, folder, JOB, settings=Settings(venv=sys.prefix), **variables)


def events(job: Submitted) -> list[dict]:
    path = job.run_folder / runlog.METRICS_FILE
    return runlog.read_events(path.read_text().splitlines())[0] if path.exists() else []


def history(job: Submitted) -> tuple[str, list[tuple[int, float]]]:
    """The hash of the last weights, and the loss of each epoch."""
    seen = events(job)
    return seen[-1]["weight_hash"], [(event["epoch"], event["loss"]) for event in seen if event["event"] == "epoch"]


@pytest.mark.mpi
@pytest.mark.slow
def test_a_training_stopped_before_its_limit_ends_like_one_that_nobody_stopped(idle: Slurm) -> None:
    pytest.importorskip("horovod", reason="needs the trainer's environment")
    whole, stopped = train(idle, "whole"), train(idle, "stopped")
    wait_until(lambda: any(event["event"] == "epoch" for event in events(stopped)), 120, "the first epoch")
    # What slurmctld does when the time of --signal=B:USR1@120 has come.
    idle.out("scancel", "--batch", "--signal=USR1", stopped.id)
    stopped.wait_endings(1)
    assert stopped.endings == [("requeued", 75, "USR1")], stopped.log("err")
    assert "SIGUSR1 stopped the run after" in record.read(stopped.run_folder)["reason"]
    assert 0 < len([event for event in events(stopped) if event["event"] == "epoch"]) < EPOCHS

    assert idle.end(whole.id, 120) == "COMPLETED", whole.log("err")
    stopped.wait_started(1)
    assert idle.end(stopped.id, 120) == "COMPLETED", stopped.log("err")
    assert history(stopped) == history(whole)
    assert [epoch for epoch, _ in history(stopped)[1]] == list(range(1, EPOCHS + 1))
    assert stopped.endings == [("requeued", 75, "USR1"), ("finished", 0, None)]
    told = record.read(stopped.run_folder)
    assert (told["status"], told["job_id"], told["ranks"]) == ("success", stopped.id, 2)
