"""Models are taken from the queue as they come, each once, until none can come any more."""

import json
from pathlib import Path

import pytest
from chains import INFER, TRAIN, attempt, begun, stage

from hpcdl.chain.folder import ChainFolder
from hpcdl.chain.queue import read_result, take_all
from hpcdl.errors import RunError

SAY = [
    "bash",
    "-c",
    'echo "$1" >>"$2/../../seen"; echo "{\\"accuracy\\": 0.5, \\"by\\": \\"x\\"}" >"$2/measures.json"',
    "-",
]


def take(chain: ChainFolder, events=(), command=(*SAY, "{model}", "{results}")) -> list[str]:
    """Let stage infer take all; before each wait the next of the events happens. Return the models in their order."""
    told: list[str] = []
    left = iter(events)

    def sleep(seconds: float) -> None:
        next(left)()

    take_all(chain, chain.chain.stage("infer"), command, None, told.append, sleep)
    assert not list(left), "it has ended too early"
    return told


def test_models_are_taken_as_they_come_and_a_dead_one_is_not_waited_for(tmp_path):
    chain = begun(tmp_path, TRAIN, INFER)
    attempt(chain, "train/1", 0)
    told = take(
        chain,
        [
            lambda: attempt(chain, "train/0", None),
            lambda: attempt(chain, "train/2", 3),
            lambda: None,
            lambda: attempt(chain, "train/0", 0),
        ],
    )
    assert [line.partition(": ")[0] for line in told] == ["train/1", "train/0", "train/2"]
    assert told[-1] == "train/2: no model (FAILED)"
    seen = (chain.stage("infer") / "results" / "seen").read_text().split()
    assert seen == [str(chain.path / "train" / "1"), str(chain.path / "train" / "0")]
    result = read_result(chain, chain.chain.stage("infer"), "train/0")
    assert result
    assert (result.exit_code, result.reason, result.measures) == (0, None, {"accuracy": 0.5})


def test_a_file_that_is_not_renamed_yet_is_not_in_the_queue(tmp_path):
    chain = begun(tmp_path, stage("train"), INFER)
    chain.queue.mkdir()
    (chain.queue / "train.tmp").touch()
    told = take(chain, [lambda: (chain.queue / "train.tmp").rename(chain.queue / "train")])
    assert told[0].startswith("train: accuracy 0.5 (")


def test_a_model_that_the_file_system_shows_late_is_waited_for(tmp_path):
    chain = begun(tmp_path, stage("train"), INFER)
    attempt(chain, "train", 0)  # it says that it has ended well, but the other folder still looks as before
    hidden = (chain.queue / "train").rename(tmp_path / "hidden")
    told = take(chain, [lambda: None, lambda: hidden.rename(chain.queue / "train")])
    assert [line.partition(" (")[0] for line in told] == ["train: accuracy 0.5"]


def test_what_was_done_before_is_not_done_again(tmp_path):
    chain = begun(tmp_path, TRAIN, INFER)
    for run in ("train/0", "train/1", "train/2"):
        attempt(chain, run, 0)
    (chain.stage("infer") / "results" / "train").mkdir(parents=True)
    known = {"schema": 1, "model": "train/1", "exit_code": 0, "time_s": 1.0, "reason": None, "measures": {}}
    (chain.stage("infer") / "results" / "train" / "1.json").write_text(json.dumps(known))
    (chain.stage("infer") / "results" / "train" / "2.json").write_text('{"schema": 1, "mod')  # torn: is done again
    assert [line.partition(": ")[0] for line in take(chain)] == ["train/0", "train/2"]


def test_a_program_that_fails_is_the_result_of_its_model_alone(tmp_path):
    chain = begun(tmp_path, TRAIN, INFER)
    for run in ("train/0", "train/1"):
        attempt(chain, run, 0)
    attempt(chain, "train/2", 1)
    told = take(
        chain, command=["bash", "-c", "case $0 in */0) echo error: no luck; echo more; exit 4;; esac", "{model}"]
    )
    assert told[0].startswith("train/0: exit code 4: no luck (")
    assert told[1].startswith("train/1: done (")


@pytest.mark.parametrize("ending", ["kill $$", "exit 143"], ids=["by itself", "under srun"])
def test_a_program_that_is_ended_from_outside_is_no_result_of_the_model(ending, tmp_path):
    chain = begun(tmp_path, TRAIN, INFER)
    attempt(chain, "train/0", 0)
    with pytest.raises(RunError, match="train/0: bash got SIGTERM; `infer` takes this model again"):
        take(chain, command=["bash", "-c", ending, "{model}"])
    assert read_result(chain, chain.chain.stage("infer"), "train/0") is None


def test_a_lost_run_is_believed_the_second_time_only(tmp_path, monkeypatch):
    """Its end may still be on its way through the file system when Slurm has forgotten it."""
    from hpcdl.chain import queue
    from hpcdl.run.states import State
    from hpcdl.run.status import Status

    chain = begun(tmp_path, stage("train"), INFER)
    asked = []

    def look(runs, slurm):
        asked.append(slurm)
        known = dict.fromkeys(Status.__dataclass_fields__) | {"folder": str(runs[0].folder)}
        return [Status(**{**known, "state": State.LOST if slurm else State.UNKNOWN})]

    monkeypatch.setattr(queue, "look", look)
    told: list[str] = []
    slept = []
    take_all(chain, chain.chain.stage("infer"), ["true"], "slurm", told.append, slept.append)  # type: ignore[arg-type]
    assert told == ["train: no model (LOST)"]
    assert len([slurm for slurm in asked if slurm]) == 2
    assert sum(slept) == queue.ASK_S


def test_the_rendered_script_puts_a_model_into_the_queue_only_when_it_is_whole(tmp_path):
    import subprocess

    from hpcdl.job import Job
    from hpcdl.script import render
    from hpcdl.settings import Settings
    from hpcdl.site import load_site

    (tmp_path / "mpirun").write_text('#!/bin/bash\nshift 2; exec "$@"\n')
    (tmp_path / "mpirun").chmod(0o755)
    command = ["bash", "-c", "test -e queue/{end} && exit 9; exit {end}"]
    job = Job.model_validate(
        {"name": "a", "resources": {"time": "00:10:00"}, "command": command, "sweep": {"grid": {"end": [0, 5]}}}
    )
    text = render(
        job, "job.yaml", load_site("local"), Settings(), folder=tmp_path / "it's", queue=tmp_path / "queue" / "it's"
    )
    (tmp_path / "script.sh").write_text(text)
    ended = subprocess.run(["bash", "script.sh"], cwd=tmp_path, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
    assert ended.returncode == 5
    assert [str(path.relative_to(tmp_path)) for path in Path(tmp_path / "queue").rglob("*") if path.is_file()] == [
        "queue/it's/0"
    ]
    assert (tmp_path / "queue" / "it's" / "0").read_text() == f"{tmp_path}/it's/0\n"
    blocked = tmp_path / "queue"
    for path in sorted(blocked.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    blocked.rmdir()
    blocked.write_text("a file in its place")
    subprocess.run(["bash", "script.sh"], cwd=tmp_path, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
    (last,) = [
        path for path in (tmp_path / "it's" / "0" / "attempts").glob("*.exit.json") if "queue" in path.read_text()
    ]
    assert json.loads(last.read_text())["decision"] == "failed"
