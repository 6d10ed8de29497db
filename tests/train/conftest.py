"""What tests share that train in their own process."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import pytest

from hpcdl.job import Job
from hpcdl.run import record
from hpcdl.train import trainer


@pytest.fixture
def train_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path, Job], None]]:
    """Return a function that trains a job in a run's folder, anew or from its checkpoints, one step at a time."""
    monkeypatch.setattr(trainer, "BLOCK_STEPS", 1)  # so that it can be stopped after any step
    monkeypatch.setattr(trainer, "claim_device", lambda us: "1 core")  # a process can set its threads only once
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}

    def train(folder: Path, job: Job) -> None:
        if not (folder / record.RECORD_FILE).exists():
            record.create(folder)
        trainer.train(job, folder)

    yield train
    keras.config.set_dtype_policy("float32")
    for number, handler in handlers.items():
        signal.signal(number, handler)
