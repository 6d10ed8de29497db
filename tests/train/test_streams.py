"""Inputs that are read from disk while training runs: the same numbers as from memory, and an exact continuation."""

import threading
import time

import numpy as np
import pytest
from PIL import Image

from hpcdl import runlog
from hpcdl.errors import DataError
from hpcdl.job import load_job
from hpcdl.run.folder import make_run_folder
from hpcdl.train import trainer
from hpcdl.train.data import load_dataset
from hpcdl.train.data.stream import Stream
from hpcdl.train.feed import AHEAD, feed, longest_block, read_ahead
from hpcdl.train.world import Stopped


def numbered(rows=100, read=None) -> Stream:
    return Stream(read or (lambda row: np.full((2, 1), row, np.float32)), range(rows), (2, 1), np.float32, "numbers")


def test_a_stream_gives_rows_in_the_asked_order_and_slices_without_reading():
    stream = numbered()
    assert stream[np.array([[3, 1], [99, 3]])][..., 0, 0].tolist() == [[3, 1], [99, 3]]
    assert stream[40:][10:20].shape == (10, 2, 1)
    assert np.asarray(stream[40:][10:20])[:, 0, 0].tolist() == list(range(50, 60))
    assert len({stream.identity, stream[1:].identity, stream[:99].identity}) == 3
    read_nothing = numbered(read=None.__getattribute__)
    assert len(read_nothing[10:]) == 90


def test_reading_runs_ahead_but_not_far():
    asked, gate = [], threading.Semaphore(0)

    def read(row):
        asked.append(row)
        gate.release()
        return np.full((2, 1), row, np.float32)

    parts = read_ahead(numbered(read=read), ([row] for row in range(100)))
    first = next(parts)
    assert (first.index, first.rows[0, 0, 0]) == ([0], 0)
    for _ in range(AHEAD):  # the one that was given, and at least the next
        assert gate.acquire(timeout=10)
    assert len(asked) <= AHEAD + 1
    assert [int(part.rows[0, 0, 0]) for part in parts] == list(range(1, 100))


def test_waiting_is_measured():
    def slow(row):
        time.sleep(0.05)
        return np.full((2, 1), row, np.float32)

    waited = [part.waited_s for part in read_ahead(numbered(read=slow), ([row] for row in range(4)))]
    assert sum(waited) > 0.05  # of 0.2 s: a busy machine may let the reader run ahead
    (block, inputs, none), *_ = feed(np.zeros((4, 2, 1)), [np.array([[1, 2]])])
    assert (block.tolist(), inputs, none) == ([[1, 2]], (), 0.0)


def test_a_reader_that_fails_raises_where_the_part_is_taken():
    def failing(row):
        if row == 2:
            raise DataError("row 2 is torn")
        return np.zeros((2, 1), np.float32)

    parts = read_ahead(numbered(read=failing), ([row] for row in range(4)))
    assert [next(parts).index, next(parts).index] == [[0], [1]]
    with pytest.raises(DataError, match="row 2 is torn"):
        next(parts)


def test_a_block_of_large_inputs_has_fewer_steps():
    images = Stream(None, range(10), (224, 224, 3), np.uint8, "x")
    assert longest_block(images, 32, 20) == 13  # 4.8 MB a step, 64 MiB a block
    assert longest_block(images, 4096, 20) == 1
    assert longest_block(np.zeros((10, 224, 224, 3), np.uint8), 4096, 20) == 20


JOB = """
name: NAME
resources: {nodes: 1, time: "00:10:00"}
train:
  model: mnist_cnn
  data: {name: folders, path: DIGITS, image_size: 28, channels: 1, in_memory: MEMORY}
  epochs: 2
  batch_size: 16
  dropout: 0.4
  augment: {shift: 1}
  validation_split: 0.25
"""


@pytest.fixture
def train(tmp_path, train_in, monkeypatch):
    """Return a function that trains on digits in class folders, read from disk or held in memory."""
    digits = load_dataset("digits")
    for part, inputs, labels in (
        ("train", digits.train_inputs[:200], digits.train_targets),
        ("test", digits.test_inputs[:60], digits.test_targets),
    ):
        for number, (image, label) in enumerate(zip(inputs, labels, strict=False)):
            path = tmp_path / "digits" / part / str(label) / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[..., 0]).save(path)
    monkeypatch.setattr(trainer, "BLOCK_STEPS", 2)

    def run(name, in_memory):
        text = JOB.replace("NAME", name).replace("MEMORY", in_memory).replace("DIGITS", str(tmp_path / "digits"))
        (tmp_path / "job.yaml").write_text(text)
        job = load_job(tmp_path / "job.yaml")
        folder, _ = make_run_folder(tmp_path, job, "1")
        train_in(folder, job)
        return folder

    return run


def result(folder):
    events, _ = runlog.read_events((folder / runlog.METRICS_FILE).read_text().splitlines())
    epochs = {event["epoch"]: (event["loss"], event["val_loss"]) for event in events if event["event"] == "epoch"}
    tested = next(event["test_loss"] for event in events if event["event"] == "test")
    return events[-1]["weight_hash"], epochs, tested


@pytest.mark.slow
def test_from_disk_and_from_memory_are_one_training_also_when_it_was_stopped_in_an_epoch(train, monkeypatch, capfd):
    from_memory = result(train("memory", "true"))
    streamed = train("disk", "false")
    assert result(streamed) == from_memory
    events, _ = runlog.read_events((streamed / runlog.METRICS_FILE).read_text().splitlines())
    assert 0 < events[-1]["input_wait"] <= 1
    assert "Waited for inputs: " in capfd.readouterr().out

    check_in = trainer.check_in

    def stopped_at_13(us, loss, step, signal_name):
        return check_in(us, loss, step, "SIGUSR1" if step == 13 else signal_name)

    monkeypatch.setattr(trainer, "check_in", stopped_at_13)
    with pytest.raises(Stopped, match="after step 13"):  # of 9 in an epoch
        train("stopped", "false")
    monkeypatch.setattr(trainer, "check_in", check_in)
    folder = train("stopped", "false")
    assert "Continue after step 13" in capfd.readouterr().out
    assert result(folder) == from_memory
