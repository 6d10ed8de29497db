"""Run folders of hpcdl's own, made by its own writers, with results that a test chooses."""

from pathlib import Path
from typing import Any

from hpcdl import runlog
from hpcdl.run import record

TRAINING = {"model": "mnist_cnn", "data": "mnist", "epochs": 3, "batch_size": 64}


def make_run(
    runs: Path,
    name: str,
    *,
    ranks: int = 1,
    seed: int = 1,
    accuracy: float = 0.99,
    images_per_s: float = 1000.0,
    job: str = "mnist",
    train: dict[str, Any] | None = None,
    expect: dict[str, str] | None = None,
    reason: str | None = None,
    epochs: int = 3,
) -> Path:
    """Make the folder of a run; with a reason it is one that was aborted for it in epoch `epochs` + 1."""
    folder = runs / name
    folder.mkdir(parents=True)
    whole = {
        "name": job,
        "resources": {"time": "00:10:00", "ranks_per_node": ranks},
        "train": {**TRAINING, **(train or {}), "seed": seed},
        "expect": expect or {},
    }
    record.create(folder, name=job, id=name, job=whole, ranks=ranks, scheduler="local", git=None)
    places = [{"rank": rank, "host": "node1", "local_rank": rank, "device": "2 cores"} for rank in range(ranks)]
    events: list[tuple[str, dict[str, Any]]] = [("run_start", {"ranks": ranks, "epochs": 3, "rank_map": places})]
    for epoch in range(1, epochs + 1):
        values = {"loss": 1 / epoch, "accuracy": 1 - 0.3 / epoch, "val_loss": 1.1 / epoch, "val_accuracy": 0.9}
        events.append(("epoch", {"epoch": epoch, "epochs": 3, "epoch_s": 10.0, "images_per_s": images_per_s, **values}))
    if reason is None:
        events.append(("test", {"test_loss": 1 - accuracy, "test_accuracy": accuracy}))
        rates = {"images_per_s": images_per_s, "images_per_s_per_rank": [images_per_s / ranks] * ranks}
        events.append(("run_end", {"status": "success", "time_s": 40.5, **rates}))
        record.update(folder, status="success", exit_code=0, time_s=42.25)
    else:
        record.update(folder, status="aborted", exit_code=1, reason=reason, time_s=12.0)
    lines = [runlog.format_event(event, **fields) + "\n" for event, fields in events]
    (folder / runlog.METRICS_FILE).write_text("".join(lines))
    return folder


def series(runs: Path) -> Path:
    """Make a scaling series: 1, 2 and 4 ranks with three seeds each, and one run that failed."""
    for ranks in (1, 2, 4):
        for seed in (1, 2, 3):
            speed = 1000.0 * ranks**0.9 + 10 * seed
            accuracy = 0.99 + 0.001 * seed - 0.002 * ranks
            make_run(runs, f"mnist-{ranks}-{seed}", ranks=ranks, seed=seed, accuracy=accuracy, images_per_s=speed)
    make_run(runs, "mnist-bad", ranks=4, seed=4, reason="rank 3 on node1: weights differ", epochs=1)
    return runs
