"""A real search on a real Slurm: failures, an individual that the clock stops, a search that is killed and goes on."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm_session import Slurm

from hpcdl import runlog
from hpcdl.run import record
from hpcdl.run.submission import read_submissions
from hpcdl.sandbox import login
from hpcdl.sandbox.waiting import wait_until

LONG = 100000
"""Epochs that no individual of this test ever completes."""
SEARCH = {
    "name": "tiny",
    "resources": {"time": "00:10:00", "memory_per_node_gib": 2},
    "train": {
        "model": {"name": "mnist_cnn", "filters": 2, "kernel_size": 3},
        "data": "digits",
        "epochs": 1,
        "batch_size": 64,
        "validation_split": 0.2,
    },
    "search": {
        "method": "genetic",
        "population": 3,
        "generations": 2,
        "seed": 13,
        "space": {
            "train.model.dense": {"int": [8, 64]},
            "train.model.blocks": {"choice": [1, 6]},  # six halve 28 pixels too often
            "train.epochs": {"choice": [1, LONG]},
        },
        "budget": {"core_hours": 2},
    },
    "slurm": {"partition": "batch", "exclusive": True},  # a node for each individual
}


class Searcher:
    """Somebody who searches from the sandbox's login node."""

    def __init__(self, slurm: Slurm, folder: Path):
        self.slurm, self.folder = slurm, folder
        folder.mkdir()
        (folder / "search.yaml").write_text(json.dumps(SEARCH))
        self.words = [sys.executable, "-m", "hpcdl", "search", "search.yaml", "--site", "jureca", "--interval", "1"]
        self.stopped: set[str] = set()

    def once(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Go on with the search as far as it goes by itself."""
        done = self.slurm.run(*self.words, "--no-wait", *words, folder=self.folder, **self.variables)
        assert done.returncode in (0, 75), done.stdout + done.stderr
        return done

    def start(self) -> subprocess.Popen[bytes]:
        """Start a search that waits."""
        command, env = login.command_line(self.slurm.sandbox, self.words, "root", self.folder)
        return subprocess.Popen(
            command,
            env=env | self.variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def variables(self) -> dict[str, str]:
        return {"PYTHONPATH": str(Path(__file__).parents[2]), "OMPI_MCA_mpi_yield_when_idle": "1"}

    @property
    def arrays(self) -> list[Path]:
        return sorted((self.folder / "runs" / "search-tiny").glob("tiny-g*"))

    @property
    def tasks(self) -> Iterator[Path]:
        for array in self.arrays:
            yield from (folder for folder in array.iterdir() if folder.name.isdecimal())

    def be_the_clock(self) -> None:
        """Send long individuals that have completed an epoch what slurmctld sends two minutes before the limit."""
        for folder in self.tasks:
            known = record.read(folder)
            events = folder / runlog.METRICS_FILE
            if known["job"]["train"]["epochs"] == LONG and events.exists() and known["job_id"] not in self.stopped:
                seen, _ = runlog.read_events(events.read_text().splitlines())
                if any(event["event"] == "epoch" for event in seen):
                    self.stopped.add(known["job_id"])
                    self.slurm.out("scancel", "--batch", "--signal=USR1", known["job_id"])


@pytest.mark.mpi
@pytest.mark.slow
def test_a_search_goes_on_after_it_was_killed_and_keeps_what_failed_and_what_the_clock_stopped(idle: Slurm) -> None:
    pytest.importorskip("horovod", reason="needs the trainer's environment")
    settings = Path(os.environ["XDG_CONFIG_HOME"]) / "hpcdl" / "settings.yaml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(f"venv: {sys.prefix}\n")
    searcher = Searcher(idle, idle.folder / "search")

    process = searcher.start()
    wait_until(lambda: any(read_submissions(array) for array in searcher.arrays), 120, "the first generation")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()

    said: list[subprocess.CompletedProcess[str]] = []

    def ended() -> bool:
        searcher.be_the_clock()
        said[:] = [searcher.once()]
        return said[0].returncode == 0

    wait_until(ended, 400, "the end of the search")
    assert [array.name.rpartition("-g")[2][0] for array in searcher.arrays] == ["1", "2"]
    assert [len(read_submissions(array)) for array in searcher.arrays] == [1, 1]

    individuals = json.loads((searcher.folder / "runs" / "search-tiny" / "individuals.json").read_text())
    assert len(individuals) == 6
    states = {"completed": 0, "stopped": 0, "failed": 0, "repeated": 0}
    for one in individuals:
        states[one["state"]] += 1
        if one["train.model.blocks"] == 6:
            assert (one["state"], one["fitness"]) == ("failed", None)
            assert "6 blocks halve the images 6 times, and 28 pixels are gone before" in one["reason"]
        elif one["state"] != "repeated":
            assert one["state"] == ("stopped" if one["train.epochs"] == LONG else "completed")
            assert one["fitness"] > 0
            assert one["epochs_done"] >= 1
            assert one["hours"] > 0
    assert {state for state, number in states.items() if number} >= {"completed", "stopped", "failed"}  # by the seed
    assert all(one["parents"] for one in individuals if one["generation"] == 2)
    assert len({record.read(folder)["host"] for folder in searcher.tasks}) > 1
    assert "Best individuals" in said[0].stdout

    again = searcher.once()  # nothing is left to do, and nothing is done
    assert (again.returncode, len(searcher.arrays)) == (0, 2)
