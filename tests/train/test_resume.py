"""A run that is killed, at any step and in the middle of writing, goes on to the weights of the uninterrupted one."""

import math
import os
import random
import signal

import numpy as np
import pytest

from hpcdl import runlog
from hpcdl.job import load_job
from hpcdl.run.folder import make_run_folder
from hpcdl.train import checkpoint, trainer
from hpcdl.train.world import Stopped, WorldError

pytestmark = pytest.mark.slow

JOB = """
name: resumed
resources: {nodes: 1, time: "00:10:00"}
train:
  data: digits
  epochs: 3
  batch_size: 90
  dropout: 0.4
  validation_split: 0.2
  keep_best: val_loss
"""
RECIPES = {
    "adam": """
  model: lenet5
  optimizer: {name: adam, learning_rate: 0.002}
  schedule: {name: one_cycle}
  augment: {shift: 1}
  ema: 0.9
""",
    "momentum": """
  model: lenet5
  optimizer: {name: sgd, learning_rate: 0.05, momentum: 0.9, nesterov: true}
  schedule: {name: cosine, warmup_epochs: 1}
  augment: {mixup: 0.4, cutmix: 1.0}
""",
    "lars": """
  model: mlp
  optimizer: {name: lars, learning_rate: 3.0, weight_decay: 0.001}
  schedule: {name: step, milestones: [1.5]}
  precision: float16
""",
    "lamb": """
  model: lenet5
  optimizer: {name: lamb, learning_rate: 0.01, weight_decay: 0.001}
  augment: {rotate: 10}
  ema: 0.8
  micro_batches: 2
""",
}
STEPS = 3 * 12  # 1437 images less a fifth in batches of 90
KILLS = 20


class Killed(BaseException):
    """Stands for the end of the process: nothing in hpcdl catches it."""


@pytest.fixture(params=["adam"])
def start(tmp_path, train_in, request):
    """Return a function that trains the job in a folder of the given name, anew or from its checkpoints."""
    (tmp_path / "job.yaml").write_text(JOB + RECIPES[request.param].lstrip("\n"))
    job = load_job(tmp_path / "job.yaml")

    def train(name):
        folder, _ = make_run_folder(tmp_path, job, name)
        train_in(folder, job)
        return folder

    return train


def result(folder) -> dict:
    """The weights' hash, the last word on each epoch, and the best checkpoint, whose name holds its checksum."""
    events, broken = runlog.read_events((folder / runlog.METRICS_FILE).read_text().splitlines())
    assert broken == 0
    epochs = {event["epoch"]: event for event in events if event["event"] == "epoch"}
    numbers = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
    history = {epoch: [event[number] for number in numbers] for epoch, event in epochs.items()}
    best = (folder / checkpoint.FOLDER / checkpoint.BEST_FILE).read_text().strip()
    assert (folder / checkpoint.FOLDER / best).is_file()
    assert (folder / checkpoint.BEST_MODEL_FILE).is_file()
    return {"weights": events[-1]["weight_hash"], "history": history, "best": best}


def kill_in_write(after: str):
    """Return a stand-in for write_atomically that is killed: before the data are whole, or just before the rename."""

    def write(path, content):
        temporary = path.with_name(f".{path.name}.killed.tmp")
        temporary.write_bytes(content[: len(content) // 2] if after == "half" else content)
        raise Killed

    return write


def test_twenty_kills_at_random_places_change_nothing(start, tmp_path, monkeypatch, capfd):
    whole = result(start("whole"))
    assert set(whole["history"]) == {1, 2, 3}
    chance = random.Random(7)
    check_in, save = trainer.check_in, checkpoint.write_atomically
    kills, runs = 0, 0
    while kills < KILLS:
        runs += 1
        while True:
            place = chance.choice(["step", "step", "half", "rename"])
            last = chance.randrange(1, STEPS + 1)
            monkeypatch.setattr(checkpoint, "write_atomically", save)
            monkeypatch.setattr(trainer, "check_in", check_in)
            if place != "step":
                monkeypatch.setattr(checkpoint, "write_atomically", kill_in_write(place))
            else:

                def killed_at(us, loss, step, signal_name, last=last):
                    if step >= last:
                        raise Killed
                    return check_in(us, loss, step, signal_name)

                monkeypatch.setattr(trainer, "check_in", killed_at)
            if kills >= KILLS or chance.random() < 0.2:
                break
            try:
                start(f"run{runs}")
            except Killed:
                kills += 1
            else:
                break
        monkeypatch.setattr(checkpoint, "write_atomically", save)
        monkeypatch.setattr(trainer, "check_in", check_in)
        assert result(start(f"run{runs}")) == whole
    assert kills == KILLS


@pytest.mark.parametrize("start", RECIPES, indirect=True)
def test_a_signal_in_the_middle_of_an_epoch_leaves_a_checkpoint_of_that_step(start, monkeypatch, capfd):
    whole = result(start("whole"))
    check_in = trainer.check_in

    def signalled(us, loss, step, signal_name):
        if step == 17:
            os.kill(os.getpid(), signal.SIGUSR1)
        return check_in(us, loss, step, signal_name)

    monkeypatch.setattr(trainer, "check_in", signalled)
    with pytest.raises(Stopped, match="SIGUSR1 stopped the run after step 18; it goes on from its checkpoint"):
        start("stopped")
    monkeypatch.setattr(trainer, "check_in", check_in)
    folder = start("stopped")
    assert "Continue after step 18" in capfd.readouterr().out
    assert result(folder) == whole


def test_a_torn_and_an_altered_checkpoint_are_skipped_aloud(tmp_path, capsys):
    arrays = {"weight/0": np.arange(6.0)}
    paths = [checkpoint.save_checkpoint(tmp_path, step, arrays, {"step": step}, keep=3) for step in (10, 20, 30)]
    paths[2].write_bytes(paths[2].read_bytes()[:-9])
    content = bytearray(paths[1].read_bytes())
    content[-30] ^= 1
    paths[1].write_bytes(content)
    loaded, info = checkpoint.load_checkpoint(tmp_path)
    assert info["step"] == 10
    np.testing.assert_array_equal(loaded["weight/0"], arrays["weight/0"])
    told = capsys.readouterr().err.splitlines()
    assert [line.startswith("warning: ") and "skipped for an older" in line for line in told] == [True, True]


def test_old_checkpoints_go_and_latest_names_the_newest(tmp_path):
    paths = [checkpoint.save_checkpoint(tmp_path, step, {}, {"step": step}, keep=2) for step in (5, 10, 15)]
    kept = sorted(path.name for path in (tmp_path / checkpoint.FOLDER).glob("step-*"))
    assert kept == sorted(path.name for path in paths[1:])
    assert (tmp_path / checkpoint.FOLDER / checkpoint.LATEST_FILE).read_text() == f"{paths[2].name}\n"


def test_the_best_checkpoint_stays_beside_the_newest(tmp_path):
    def save(step, best):
        return checkpoint.save_checkpoint(tmp_path, step, {}, {"step": step}, 1, best).name

    first = save(5, best=True)
    others = [save(10, best=False), save(15, best=False)]
    kept = {path.name for path in (tmp_path / checkpoint.FOLDER).glob("step-*")}
    assert kept == {first, others[1]}
    assert (tmp_path / checkpoint.FOLDER / checkpoint.BEST_FILE).read_text() == f"{first}\n"
    better = save(20, best=True)
    assert {path.name for path in (tmp_path / checkpoint.FOLDER).glob("step-*")} == {better}


def test_the_best_epoch_is_the_first_of_the_best_finite_ones():
    history = [
        {"epoch": 1, "val_accuracy": 0.8, "val_loss": 0.5},
        {"epoch": 2, "val_accuracy": 0.9, "val_loss": math.nan},
        {"epoch": 3, "val_accuracy": 0.9, "val_loss": 0.4},
    ]
    assert checkpoint.best_epoch(history, "val_accuracy") == 2
    assert checkpoint.best_epoch(history, "val_loss") == 3
    assert checkpoint.best_epoch(history, None) is None
    assert checkpoint.best_epoch([], "val_loss") is None


def test_a_metric_that_is_not_measured_is_refused_before_the_training(start, tmp_path, capfd):
    job_text = (tmp_path / "job.yaml").read_text()
    (tmp_path / "job.yaml").write_text(job_text.replace("keep_best: val_loss", "keep_best: val_mae"))
    with pytest.raises(WorldError, match="measures no val_mae, but loss, accuracy, val_loss, val_accuracy"):
        trainer.train(load_job(tmp_path / "job.yaml"), tmp_path)


def test_the_state_of_another_recipe_is_refused_in_one_sentence(start, tmp_path, monkeypatch, capfd):
    folder = start("other")
    job_text = (tmp_path / "job.yaml").read_text()
    (tmp_path / "job.yaml").write_text(job_text.replace("ema: 0.9", "ema: 0"))
    with pytest.raises(WorldError, match="state of another model, optimizer or recipe"):
        trainer.train(load_job(tmp_path / "job.yaml"), folder)


def test_a_full_disk_keeps_the_older_checkpoint_and_is_one_sentence(start, tmp_path, monkeypatch, capfd):
    write, calls = checkpoint.write_atomically, []

    def disk_full_the_second_time(path, content):
        calls.append(path)
        if len(calls) > 3:  # checkpoint, latest, best
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(checkpoint, "write_atomically", disk_full_the_second_time)
    with pytest.raises(Exception, match=r"the checkpoint of step 24 cannot be written \(No space left on device\)"):
        start("full")
    arrays, info = checkpoint.load_checkpoint(tmp_path / "resumed-full")
    assert info["step"] == 12
    assert arrays


def test_another_batch_goes_on_at_the_same_image_and_says_so(start, tmp_path, monkeypatch, capfd):
    check_in = trainer.check_in

    def killed_after_two_epochs(us, loss, step, signal_name):
        if step == 25:
            raise Killed
        return check_in(us, loss, step, signal_name)

    monkeypatch.setattr(trainer, "check_in", killed_after_two_epochs)
    with pytest.raises(Killed):
        start("other")
    monkeypatch.setattr(trainer, "check_in", check_in)
    job_text = (tmp_path / "job.yaml").read_text()
    (tmp_path / "job.yaml").write_text(job_text.replace("batch_size: 90", "batch_size: 45"))
    job = load_job(tmp_path / "job.yaml")
    trainer.train(job, tmp_path / "resumed-other")
    said = capfd.readouterr().out
    assert "Continue after step 50" in said  # two epochs of 25 steps
    assert "written by 1 ranks with 90 images each; now there are 1 with 45" in said
    assert set(result(tmp_path / "resumed-other")["history"]) == {1, 2, 3}
