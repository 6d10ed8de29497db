"""What trains the individuals of a search: ranks on this machine, here a stand-in for them, and a queue's programs."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from unittest import mock

import pytest

from hpcdl.cli.run import ended_by_sigterm
from hpcdl.run import local, record
from hpcdl.search import driver
from hpcdl.search.here import Here
from hpcdl.search.plan import make_plan
from hpcdl.search.record import Record
from hpcdl.site import load_site

JOB = {
    "name": "tiny",
    "resources": {"time": "00:05:00"},
    "train": {"model": {"name": "mnist_cnn"}, "data": "digits", "epochs": 2, "batch_size": 32, "validation_split": 0.2},
    "search": {
        "method": "grid",
        "population": 2,
        "space": {"train.model.filters": {"choice": [3, 5, 7]}},
        "budget": {"core_hours": 1},
    },
}
RANK = """
    '''Trains as hpcdl train does, without training: filters 5 fail, filters 7 go on for ever after an epoch.'''
    import os, sys, time
    from pathlib import Path
    from hpcdl import runlog
    from hpcdl.job import load_job
    from hpcdl.run import record

    folder = Path(sys.argv[1])
    training = load_job(folder / "job.yaml").training
    filters = training.model.arguments["filters"]
    (folder / "started").open("a").write("x")
    if filters == 5:
        sys.exit("error: no room for 5 filters")
    with open(folder / runlog.METRICS_FILE, "a") as metrics:
        print(runlog.format_event("run_start", ranks=1, epochs=2), file=metrics)
        print(runlog.format_event("epoch", epoch=1, val_accuracy=filters / 10, accuracy=0.1), file=metrics)
        if filters == 7:
            metrics.flush()
            time.sleep(600)
        print(runlog.format_event("epoch", epoch=2, val_accuracy=filters / 9, accuracy=0.1), file=metrics)
        print(runlog.format_event("test", test_accuracy=0.25), file=metrics)
    record.update(folder, status="success")
"""


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """A plan whose ranks are stand-ins."""
    (tmp_path / "rank.py").write_text(textwrap.dedent(RANK))
    monkeypatch.setattr(local, "_command", lambda ranks, folder: [sys.executable, f"{tmp_path}/rank.py", str(folder)])
    (tmp_path / "search.yaml").write_text(json.dumps(JOB))
    return make_plan(tmp_path / "search.yaml", {}, load_site("local"))


def num_epochs(folder: Path) -> int:
    metrics = folder / "metrics.jsonl"
    return metrics.read_text().count('"epoch": 1') if metrics.exists() else 0


class Clock(Here):
    """Here, with a limit that is reached as soon as the run has completed an epoch."""

    def _train(self, individual, folder):
        clock, before = itertools.count(), num_epochs(folder)

        def later() -> float:  # each look at the clock is ten minutes after the one before, once there is a new epoch
            is_over = individual.number == 2 and num_epochs(folder) > before
            return time.monotonic() + 600 * (next(clock) if is_over else 0)

        with mock.patch.object(local, "time", mock.Mock(wraps=time, monotonic=later)):
            return super()._train(individual, folder)


def results(individuals):
    return [(one.result.state, one.result.fitness, one.result.epochs) for one in individuals if one.result]


def test_individuals_train_here_one_after_the_other(plan, tmp_path):
    folder = tmp_path / "search"
    folder.mkdir()
    record_ = Record(folder, plan.search)
    assert driver.search(plan, record_, Clock(plan, folder, lambda line: None), lambda line: None) == "finished"
    good, bad, long = record_.individuals()
    assert results([good, bad, long]) == [("completed", 3 / 9, 2), ("failed", None, None), ("stopped", 0.7, 1)]
    assert bad.result.reason == "no room for 5 filters"
    assert long.result.reason == local.OUT_OF_TIME
    assert good.result.test_accuracy == 0.25
    assert (good.result.run, long.result.run) == ("tiny-g1/0", "tiny-g2/2")
    assert good.result.hours > 0


def test_an_interrupted_individual_goes_on_and_those_that_ended_are_not_trained_again(plan, tmp_path):
    folder = tmp_path / "search"
    folder.mkdir()

    class Interrupted(Here):
        def _train(self, individual, run):
            lines = interrupt if individual.number == 2 else local.LocalRun._lines
            with mock.patch.object(local.LocalRun, "_lines", lines):
                return super()._train(individual, run)

    def interrupt(self, process, deadline):
        while not num_epochs(self.folder):
            time.sleep(0.05)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        driver.search(
            plan, Record(folder, plan.search), Interrupted(plan, folder, lambda line: None), lambda line: None
        )
    run = folder / "tiny-g2" / "2"
    assert (record.read(run)["reason"], record.read(run)["status"]) == ("interrupted", "aborted")
    again = Record(folder, plan.search)
    assert driver.search(plan, again, Clock(plan, folder, lambda line: None), lambda line: None) == "finished"
    assert [(folder / name / "started").read_text() for name in ("tiny-g1/0", "tiny-g1/1", "tiny-g2/2")] == [
        "x",
        "x",
        "xx",
    ]
    assert results(again.individuals())[2] == ("stopped", 0.7, 1)


# The command


def hpcdl(folder: Path, *words: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "COLUMNS": "120"}
    environment |= {"PATH": path} if path else {}
    command = [sys.executable, "-m", "hpcdl", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_a_dry_run_states_the_plan_and_leaves_nothing(tmp_path):
    (tmp_path / "search.yaml").write_text(json.dumps(JOB))
    done = hpcdl(tmp_path, "search", "search.yaml", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "All 3 together: 0.25 core hours at most; the budget is 1" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["search.yaml"]


@pytest.mark.parametrize("words", [("run",), ("submit", "--site", "jureca"), ("render", "--site", "jureca")])
def test_other_commands_do_not_take_a_search_for_one_training(tmp_path, words):
    (tmp_path / "search.yaml").write_text(json.dumps(JOB))
    done = hpcdl(tmp_path, words[0], "search.yaml", *words[1:])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: job tiny has a `search:` section: hpcdl search trains it; --set search=null leaves the search out.\n"
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["--set", "search=null"], "search.yaml: has no `search:` section"),
        (["--set", "search.budget.core_hours=0.1"], "less than the first generation may take (0.1667)"),
        (["--set", "search.method=annealing"], "search.method: 'annealing' is not allowed"),
        (["--site", "vsc-ugent"], "takes jobs through qsub"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(tmp_path, changes, said):
    (tmp_path / "search.yaml").write_text(json.dumps(JOB))
    done = hpcdl(tmp_path, "search", "search.yaml", *changes)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "runs").glob("*/*-g1*"))


@pytest.fixture
def queue(tmp_path):
    """A folder with a search, and Slurm's programs as far as a search needs them; what is submitted is counted."""
    submit = "echo x >> submitted; echo 41"
    waits = "PENDING|Priority|0:00|5:00|2026-11-21T08:00:00|N/A||$array/job.sbatch"
    script = 'echo "41|$array/job.sbatch"'
    tasks = f'for task in 0 1; do echo "41_$task|{waits}"; done'
    bodies = {
        "sbatch": f'case "$*" in --version) echo slurm 22.05.8;; --test-only*) ;; *) {submit};; esac',
        "squeue": f'array=$(echo $PWD/runs/*/tiny-g1-*); case "$*" in *--jobs=*) {tasks};; *) {script};; esac',
    }
    (tmp_path / "bin").mkdir()
    for name, body in bodies.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\ncd {tmp_path}\n{body}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    for tool in ("git", "bash"):  # and nothing else: this machine may have a Slurm
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or tool)
    (tmp_path / "search.yaml").write_text(json.dumps(JOB))
    return tmp_path


def go_on(queue: Path) -> subprocess.CompletedProcess[str]:
    words = ("search", "search.yaml", "--site", "generic", "--no-wait", "--force")
    return hpcdl(queue, *words, path=str(queue / "bin"))


def test_a_generation_is_submitted_once_however_often_the_command_is_called(queue):
    first = go_on(queue)
    assert "generation 1 of 2: job 41" in first.stdout, first.stderr
    (array,) = (queue / "runs" / "search-tiny").glob("tiny-g1-*")
    assert "--array=0-1" in (array / "job.sbatch").read_text()
    assert (queue / "submitted").read_text() == "x\n"
    go_on(queue)
    known = json.loads((array / "submissions.json").read_text())
    known["submissions"][0]["job_id"] = None  # as if hpcdl had died between sbatch and its answer
    (array / "submissions.json").write_text(json.dumps(known))
    go_on(queue)
    assert (queue / "submitted").read_text() == "x\n"
    assert json.loads((array / "submissions.json").read_text())["submissions"][0]["job_id"] == "41"
    assert [array] == list((queue / "runs" / "search-tiny").glob("tiny-g*"))


def test_a_generation_that_was_prepared_and_given_to_nobody_is_prepared_anew(queue):
    go_on(queue)
    (left,) = (queue / "runs" / "search-tiny").glob("tiny-g1-*")
    (left / "submissions.json").unlink()  # as if hpcdl had died before it called sbatch
    (left / "half").touch()
    (queue / "submitted").unlink()
    go_on(queue)
    (array,) = (queue / "runs" / "search-tiny").glob("tiny-g1-*")
    assert not (array / "half").exists()
    assert (queue / "submitted").read_text() == "x\n"


def test_a_generation_that_never_arrived_is_submitted_again(queue):
    go_on(queue)
    (array,) = (queue / "runs" / "search-tiny").glob("tiny-g1-*")
    long_ago = {"script": str(array / "job.sbatch"), "began": "2020-01-01T00:00:00.000+00:00"}
    (array / "submissions.json").write_text(json.dumps({"schema": 1, "submissions": [long_ago]}))
    waits = (queue / "bin" / "squeue").read_text()
    (queue / "bin" / "squeue").write_text(waits.replace("array=", "[[ $(<submitted) == *x*x* ]] || exit 0; array="))
    again = go_on(queue)
    assert "generation 1 of 2: job 41" in again.stdout, again.stderr
    assert (queue / "submitted").read_text() == "x\nx\n"
    submissions = json.loads((array / "submissions.json").read_text())["submissions"]
    assert [entry["job_id"] for entry in submissions] == [None, "41"]


def test_the_end_that_a_scheduler_sends_is_taken_like_an_interruption():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), ended_by_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
