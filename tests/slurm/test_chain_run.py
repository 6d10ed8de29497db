"""`hpcdl chain` on a real Slurm with two modules: trainings on nodes with GPUs, inference beside them on others."""

import csv
import json
import os
import re
import sys
from pathlib import Path

import pytest
from slurm_session import Slurm
from test_submitted import User

from hpcdl.run.attempts import read_attempts
from hpcdl.run.find import find_runs
from hpcdl.sandbox.waiting import wait_until

ROOT = Path(__file__).parents[2]
PATHS = {"path": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
BRIEFLY = {"time": "00:10:00", "memory_per_node_gib": 4}
TRAIN = {"model": "mlp", "data": "digits", "epochs": 1, "batch_size": 32}
# Trains nothing: its model is that of train/0, as soon as inference has dealt with that one.
LATE = (
    "cd $HPCDL_RUN_FOLDER/..; until test -e infer/results/train/0.json; do sleep 0.2; done; cp train/0/model.keras late"
)


def chain(user: User, name: str, stages: list[dict], **ranking: object) -> Path:
    """Write a chain file."""
    asked = {"by": "accuracy", "resources": BRIEFLY, **ranking}
    path = user.folder / f"{name}.yaml"
    path.write_text(json.dumps({"name": name, "stages": stages, "ranking": asked}))
    return path


def start(user: User, path: Path) -> Path:
    """Start a chain, or go on with it, and return its folder."""
    done = user.hpcdl("chain", path.name, "--site", "jureca", **PATHS)
    assert done.returncode == 0, done.stdout + done.stderr
    return user.folder / re.search(r"runs/[\w-]+", done.stdout)[0]  # type: ignore[index]


def job(user: User, name: str, command: str, **after: str) -> dict:
    """A stage that runs a command of bash."""
    return {"name": name, "after": after, "job": {"resources": BRIEFLY, "command": ["bash", "-c", command]}}


def ended(user: User, folder: Path, seconds: float = 240) -> dict[str, str]:
    """Wait until the ranking has ended and return the states of all runs."""
    user.wait(folder / "ranking", "COMPLETED", "FAILED", "CANCELLED", "LOST", seconds=seconds)
    return {run.partition("/")[2]: status["state"] for run, status in user.status(str(folder)).items()}


@pytest.fixture(scope="module")
def user(slurm: Slurm) -> User:
    return User(slurm, slurm.folder / "chains")


@pytest.fixture(scope="module")
def hopeless(user: User) -> Path:
    """A chain whose first stage fails; begun before the others, beside which it waits for Slurm's scheduler."""
    stages = [
        job(user, "prepare", "exit 3"),
        job(user, "train", "true", prepare="all"),
        job(user, "infer", "test -d {model}", train="each"),
    ]
    return start(user, chain(user, "hopeless", stages))


@pytest.mark.mpi
@pytest.mark.slow
def test_models_are_predicted_on_one_module_while_others_are_trained_and_one_dies(user: User, hopeless: Path):
    pytest.importorskip("horovod", reason="needs the trainer's environment")
    gpu = {**BRIEFLY, "gpus_per_node": 1}
    batches = {"grid": {"train.batch_size": [32, 100_000]}}  # there are not so many images: the second one dies
    stages = [
        {
            "name": "infer",
            "after": {"train": "each", "late": "each"},
            "predict": "digits",
            "job": {"resources": BRIEFLY},
        },
        {"name": "train", "job": {"resources": gpu, "train": TRAIN, "sweep": batches}},
        {"name": "late", "job": {"resources": gpu, "command": ["bash", "-c", LATE]}},
        job(user, "publish", "true", train="all"),
    ]
    path = chain(user, "models", stages, keep=1, remove_discarded=True)
    folder = start(user, path)
    ids = {run.name: run.job_id for run in find_runs([folder], folder)}
    assert start(user, path) == folder
    assert {run.name: run.job_id for run in find_runs([folder], folder)} == ids

    states = ended(user, folder)
    good = ("train/0", "late", "infer", "ranking")  # the late one could not end before inference had dealt with another
    assert states == {**dict.fromkeys(good, "COMPLETED"), "train/1": "FAILED", "publish": "CANCELLED"}
    rows = list(csv.DictReader((folder / "ranking.csv").open()))
    told = {row["run"]: (row["rank"], row["state"], row["kept"]) for row in rows}
    first, second = rows[0], rows[1]  # in the order of the stages in the file, as they are equally good
    assert [first["run"], second["run"]] == ["train/0", "late"], rows
    assert told["train/0"] == ("1", "COMPLETED", "yes")
    assert told["late"] == ("2", "COMPLETED", "no")
    assert told["train/1"] == ("", "FAILED", "")
    assert first["accuracy"] == second["accuracy"]
    assert "train.batch_size: a step takes 100000 images" in rows[2]["reason"]
    assert (folder / "train" / "0" / "model.keras").exists()
    assert not (folder / "late" / "model.keras").exists(), "asked to be removed"
    shown = user.must("chain", str(folder), "--format", "csv", **PATHS)
    assert shown == (folder / "ranking.csv").read_text(), "the same for whoever asks later"

    nodes = {
        tuple(line.split()) for line in user.slurm.out("sinfo", "--noheader", "--Node", "--format=%N %R").splitlines()
    }
    trained, predicted = (read_attempts(folder / name)[0].start.host for name in ("train/0", "infer"))  # type: ignore[union-attr]
    assert {(trained, "gpus"), (predicted, "batch")} <= nodes
    assert (predicted, "gpus") not in nodes, "two modules"


def test_a_chain_that_cannot_go_on_still_ends_with_a_ranking(user: User, hopeless: Path):
    states = ended(user, hopeless)
    assert states == {"prepare": "FAILED", "train": "CANCELLED", "infer": "COMPLETED", "ranking": "COMPLETED"}
    (row,) = json.loads((hopeless / "ranking.json").read_text())
    assert (row["rank"], row["run"], row["state"]) == (None, "train", "CANCELLED")


def test_a_call_that_died_half_way_is_gone_on_with(user: User):
    wait = f"until test -e {user.folder}/go; do sleep 0.2; done"
    any_of = job(user, "then", "true", first="any")
    first = job(user, "first", wait + "; exit {end}")
    first["job"]["sweep"] = {"grid": {"end": [1, 0]}}
    path = chain(user, "half", [first, any_of, job(user, "infer", "true {model}", first="each")])
    folder = start(user, path)
    kept = {run.name: run.job_id for run in find_runs([folder], folder)}
    for name in ("then", "ranking"):  # as if it had died before it came to these
        user.must("cancel", str(folder / name))
        (folder / name / "submissions.json").unlink()
    assert start(user, path) == folder
    now = {run.name: run.job_id for run in find_runs([folder], folder)}
    changed = {name.partition("/")[2] for name in now if now[name] != kept[name]}
    assert changed == {"then", "ranking"}
    (user.folder / "go").touch()
    states = ended(user, folder)
    assert states == {
        **dict.fromkeys(("first/1", "then", "infer", "ranking"), "COMPLETED"),
        "first/0": "FAILED",
    }
    (folder / "infer" / "results" / "first" / "1.json").unlink()  # as if inference had been ended before it was done
    start(user, path)
    wait_until(lambda: (folder / "infer" / "results" / "first" / "1.json").exists(), 60, "inference to go on")
    ended(user, folder)
    again = {run.name: run.job_id for run in find_runs([folder], folder)}
    assert {name.partition("/")[2] for name in again if again[name] != now[name]} == {"infer", "ranking"}


def test_what_a_check_stops_is_not_begun(user: User):
    stages = [job(user, "train", "true"), job(user, "infer", "true {model}", train="each")]
    stages[1]["job"]["resources"] = {**BRIEFLY, "nodes": 99}
    done = user.hpcdl("chain", chain(user, "large", stages).name, "--site", "jureca", **PATHS)
    assert done.returncode == 1
    assert "infer: not submitted, nor any other stage" in done.stderr
    assert not list((user.folder / "runs").glob("large*"))
    assert "large" not in user.slurm.out("squeue", "--noheader", "--states=all", "--format=%j")


def test_a_whole_chain_is_cancelled(user: User):
    train = job(user, "train", "(({end})) && sleep 600 || exit 0")
    train["job"]["sweep"] = {"grid": {"end": [0, 1]}}
    stages = [train, job(user, "infer", "echo {model}; sleep 600", train="each")]
    folder = start(user, chain(user, "stopped", stages))
    log = folder / "infer" / "results" / "train" / "0" / "log.txt"
    wait_until(lambda: log.exists() and bool(log.read_text()), 60, "inference to begin")
    user.must("cancel", str(folder))
    for name in ("train/1", "infer", "ranking"):
        user.wait(folder / name, "CANCELLED")
    assert not list(log.parent.parent.glob("*.json")), "being cancelled is no result of the model"
