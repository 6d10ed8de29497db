"""What a training says while it runs: people's log, metrics.jsonl, MLPerf's lines. Only rank 0 writes."""

import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import hpcdl
from hpcdl import runlog
from hpcdl.job import Job
from hpcdl.run import record
from hpcdl.train.communication import describe
from hpcdl.train.data import Dataset
from hpcdl.train.device import versions
from hpcdl.train.world import World

WARM_UP_BLOCKS = 1
"""Blocks left out of the speed: TensorFlow traces and plans in the first one."""

TEST_LINES = {
    "test_loss": "Test score",
    "test_accuracy": "Test accuracy",
    "test_top5_accuracy": "Test top5 accuracy",
    "test_mirrored_accuracy": "Test mirrored accuracy",
    "test_mae": "Test mae",
}
"""How the last lines name the results, loss and accuracy in the words of Keras's examples and of the lecture."""

NOTABLE_WAIT = 0.05
"""The part of the time spent waiting for inputs above which an epoch says so."""

PROGRESS_S = 0.5
"""Shortest time between two progress events."""


class Report:
    """The log of one training. As a context it ends the log whatever happens: a run that fails says why."""

    def __init__(self, us: World, folder: Path):
        self._us, self._folder = us, folder
        self._began = time.perf_counter()
        self._blocks: list[tuple[int, float]] = []
        self._waits: list[float] = []
        self._last_progress = 0.0
        self._files: dict[str, TextIO] = {}
        if us.rank == 0:
            for name in (runlog.METRICS_FILE, runlog.MLLOG_FILE):
                self._files[name] = open(folder / name, "a", encoding="utf-8")  # noqa: SIM115 closed in __exit__

    def __enter__(self) -> "Report":
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if error is not None:
            self._event("run_end", status="aborted", reason=str(error) or type(error).__name__, time_s=self._elapsed())
            self._mllog("run_stop", None, "INTERVAL_END", status="aborted")
        for file in self._files.values():
            file.close()

    def start(
        self,
        job: Job,
        data: Dataset,
        num_train: int,
        steps: int,
        parameters: int,
        precision: str,
        device: str,
        done: int,
    ) -> None:
        """Say what runs where. Collective: every rank adds its host and device."""
        us, training = self._us, job.training
        self._job, self._steps = job, steps
        entry = {"rank": us.rank, "host": us.host, "local_rank": us.local_rank, "device": device}
        rank_map = us.allgather(entry)
        global_batch = training.batch_size * us.size
        self._event(
            "run_start",
            ranks=us.size,
            epochs=training.epochs,
            batch_size=training.batch_size,
            global_batch_size=global_batch,
            steps_per_epoch=steps,
            parameters=parameters,
            train_images=num_train,
            validation_images=len(data.train_inputs) - num_train,
            test_images=len(data.test_inputs),
            data={"name": data.name, "sha256": data.digest},
            precision=precision,
            rank_map=rank_map,
            versions=versions(),
            job_digest=job.digest,
            steps_done=done,
        )
        if us.rank == 0:
            record.update(self._folder, rank_map=rank_map, versions=versions())
        self._print(f"hpcdl {hpcdl.__version__}: job {job.name} on {us.size} rank{'s' if us.size > 1 else ''}")
        for host in sorted({entry["host"] for entry in rank_map}):
            ranks = [f"{entry['rank']} ({entry['device']})" for entry in rank_map if entry["host"] == host]
            self._print(f"  {host}: rank {', '.join(ranks)}")
        optimizer = training.optimizer
        self._print(
            f"  {training.model}: {parameters:,} parameters, {precision}; {optimizer.name}, learning rate "
            f"{optimizer.learning_rate:g} ({training.schedule.name}); {training.batch_size} images per rank and step, "
            f"{global_batch} over all"
        )
        if told := describe(training, us.size):
            self._print(f"  Horovod: {told}")
        self._print(f"  {data}")
        self._print(f"{len(data.train_inputs)} train samples")
        self._print(f"{len(data.test_inputs)} test samples")
        if num_train < len(data.train_inputs):
            self._print(f"Train on {num_train} samples, validate on {len(data.train_inputs) - num_train} samples")
        for key, value in {
            "seed": training.seed,
            "global_batch_size": global_batch,
            "train_samples": num_train,
            "eval_samples": len(data.test_inputs),
            "opt_name": optimizer.name,
            "opt_base_learning_rate": optimizer.learning_rate,
        }.items():
            self._mllog(key, value)
        self._mllog("run_start", None, "INTERVAL_START")

    def begin_epoch(self, epoch: int) -> None:
        self._epoch, self._epoch_began, self._epoch_blocks = epoch, time.perf_counter(), len(self._blocks)
        self._print(f"Epoch {epoch}/{self._job.training.epochs}")
        self._mllog("epoch_start", None, "INTERVAL_START", epoch_num=epoch)

    def stage(self, layers: list[str]) -> None:
        """Say which layers below the last one a transfer trains from this epoch on."""
        self._print(f"  trained: the last layer{' and ' if layers else ' alone'}{', '.join(layers)}")

    @contextmanager
    def timing(self, images: int, waited_s: float = 0.0) -> Iterator[None]:
        """Time a block of steps that trains `images` images on this rank; call it around work that is finished.

        Args:
            waited_s: seconds that this rank waited for the block's inputs before; they count to the block.
        """
        began = time.perf_counter()
        yield
        self._blocks.append((images, waited_s + time.perf_counter() - began))
        self._waits.append(waited_s)

    def progress(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        """Note how far the run is, for the progress bar and for `hpcdl watch`; this rank's metrics."""
        if time.perf_counter() - self._last_progress < PROGRESS_S:
            return
        self._last_progress = time.perf_counter()
        images, seconds = self._blocks[-1]
        rate = images * self._us.size / seconds
        steps = self._steps * self._job.training.epochs
        self._event("progress", epoch=epoch, step=step, steps=steps, images_per_s=round(rate, 1), **metrics)

    def end_epoch(self, step: int, learning_rate: float, metrics: Mapping[str, float]) -> None:
        """Write an epoch's results: metrics over all ranks. Collective: every rank adds its waiting for inputs."""
        epoch_s = time.perf_counter() - self._epoch_began
        images = sum(images for images, _ in self._blocks[self._epoch_blocks :])
        seconds = sum(seconds for _, seconds in self._blocks[self._epoch_blocks :])
        metrics = dict(sorted(metrics.items()))  # as Keras 3 prints them
        self._print(runlog.format_epoch(self._steps, self._steps, epoch_s, metrics))
        input_wait, who = self._input_wait(self._epoch_blocks)
        if input_wait > NOTABLE_WAIT:
            self._print(f"  {input_wait:.0%} of the training time went into waiting for inputs ({who})")
        self._event(
            "epoch",
            epoch=self._epoch,
            epochs=self._job.training.epochs,
            step=step,
            learning_rate=learning_rate,
            epoch_s=epoch_s,
            input_wait=round(input_wait, 4),
            images_per_s=images * self._us.size / seconds,
            **metrics,
        )
        self._mllog("epoch_stop", None, "INTERVAL_END", epoch_num=self._epoch)
        if "val_accuracy" in metrics:
            self._mllog("eval_accuracy", metrics["val_accuracy"], epoch_num=self._epoch)

    def best(self, epoch: Mapping[str, float], metric: str, file: str) -> None:
        """Say which epoch was the best, and which file has its model."""
        self._print(f"Best {metric}: {epoch[metric]} after epoch {epoch['epoch']}, kept in {file}")

    def end(self, tested: Mapping[str, float], weight_hash: str) -> None:
        """Write the end of a run that went well, with its test_ metrics. Collective: every rank adds its speed."""
        speed = self._speed()
        input_wait, who = self._input_wait(0)
        per_rank = self._us.allgather(speed["images_per_s"] and speed["images_per_s"] / self._us.size)
        unmet = self._job.unmet({**tested, **speed})
        self._event("test", **tested)
        self._event(
            "run_end",
            status="success",
            train_s=sum(seconds for _, seconds in self._blocks),
            time_s=self._elapsed(),
            images_per_s_per_rank=per_rank,
            input_wait=round(input_wait, 4),
            weight_hash=weight_hash,
            unmet=unmet,
            **speed,
        )
        self._mllog("hpcdl_images_per_s", speed["images_per_s"], std=speed["images_per_s_std"])
        if "test_accuracy" in tested:
            epochs = self._job.training.epochs
            self._mllog("eval_accuracy", tested["test_accuracy"], epoch_num=epochs, data="test")
        self._mllog("run_stop", None, "INTERVAL_END", status="success")
        if speed["images_per_s"]:
            self._print(
                f"Images/s: {speed['images_per_s']:.0f} +- {speed['images_per_s_std'] or 0:.0f} over "
                f"{speed['images_per_s_n']} blocks of steps; per rank: {', '.join(f'{rate:.0f}' for rate in per_rank)}"
            )
        if any(self._waits):
            self._print(f"Waited for inputs: {input_wait:.1%} of the training time ({who}, which waited longest)")
        self._print(f"Weights {weight_hash} on all {self._us.size} ranks after {self._elapsed():.1f} s")
        for text in unmet:
            self._print(f"Expectation missed: {text}")
        for name, value in tested.items():
            self._print(f"{TEST_LINES[name]}: {value}")

    def _speed(self) -> dict[str, Any]:
        """Images per second over all ranks, without the warm-up: mean over the time, spread over the blocks."""
        blocks = self._blocks[WARM_UP_BLOCKS:]
        if not blocks:
            return {"images_per_s": None, "images_per_s_std": None, "images_per_s_n": 0}
        rates = [images * self._us.size / seconds for images, seconds in blocks]
        mean = sum(images for images, _ in blocks) * self._us.size / sum(seconds for _, seconds in blocks)
        std = statistics.stdev(rates) if len(rates) > 1 else None
        return {"images_per_s": mean, "images_per_s_std": std, "images_per_s_n": len(rates)}

    def _input_wait(self, first: int) -> tuple[float, str]:
        """Return the part of the training time (0..1), from block `first` on, that the rank which waited longest spent
        waiting for inputs, and which rank that is. Collective."""
        seconds = sum(seconds for _, seconds in self._blocks[first:])
        mine = sum(self._waits[first:]) / seconds if seconds else 0.0
        everyone = self._us.allgather((mine, self._us.rank, self._us.host))
        most, rank, host = max(everyone, key=lambda theirs: theirs[0])
        return most, f"rank {rank} on {host}"

    def _elapsed(self) -> float:
        return time.perf_counter() - self._began

    def _print(self, line: str) -> None:
        if self._us.rank == 0:
            print(line, flush=True)

    def _event(self, event: str, **fields: Any) -> None:
        self._write(runlog.METRICS_FILE, runlog.format_event(event, **fields))

    def _mllog(self, key: str, value: Any = None, event_type: str = "POINT_IN_TIME", **metadata: Any) -> None:
        self._write(runlog.MLLOG_FILE, runlog.format_mllog(key, value, event_type, **metadata))

    def _write(self, name: str, line: str) -> None:
        if name in self._files:
            self._files[name].write(line + "\n")
            self._files[name].flush()
