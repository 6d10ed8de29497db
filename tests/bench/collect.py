"""How fast `hpcdl collect` is: python tests/bench/collect.py [-o RESULTS] [--largest GB] [--rounds N] [--runs N].

Whole programs, start included, with their output checked against each other:
1. MB/s on logs of Keras bars beside `grep -c` on the same file, and beside regular expressions over the whole text, as
   JUBE and ReFrame read (whole_text.py);
2. time and peak memory from 10 MB to the largest size;
3. many run folders: the first collect, and the next.

Writes RESULTS.json and RESULTS.md. Makes its logs in a temporary folder (TMPDIR), as much as fits there.
"""

import argparse
import csv
import io
import json
import shutil
import sys
import tempfile
from pathlib import Path

from harness import Measured, interleaved, run, table, write
from keras_logs import KINDS
from keras_logs import write as write_log

HERE = Path(__file__).parent
STEPS = 1875
"""Steps of an epoch: MNIST's 60,000 images in Keras's default batches of 32."""
MB, GB = 10**6, 10**9
SPACE_LEFT = 5 * GB
"""Of the disk, in bytes."""
GREP = "val_loss"
"""What grep counts: the lines that hold an epoch's result."""


def collect(*options: str) -> list[str]:
    """Return the command of a collect without Slurm."""
    return [sys.executable, "-m", "hpcdl", "collect", "--no-sacct", "--format", "csv", *options]


def side_by_side(folder: Path, size: int, rounds: int) -> dict[str, dict[str, Measured]]:
    """Measure all readers on a log of each kind; the readers must agree on what it says."""
    found = {}
    for kind in KINDS:
        log = folder / f"{kind}.log"
        write_log(log, kind, size, STEPS)
        commands = {"hpcdl": collect("--no-index", str(log)), "grep -c": ["grep", "-c", GREP, str(log)]}
        if kind != "keras3":  # the patterns are those of Keras 2
            for name in ("jube", "reframe"):
                commands[name] = [sys.executable, str(HERE / "whole_text.py"), name, str(log)]
        found[kind] = interleaved(commands, rounds)
        _check(found[kind])
        log.unlink()
    return found


def _check(found: dict[str, Measured]) -> None:
    row = next(csv.DictReader(io.StringIO(found["hpcdl"].output)))
    assert row["epochs_done"] == row["epochs_planned"] == found["grep -c"].output.strip(), row
    ours = [float(row[name]) for name in ("epochs_done", "loss", "accuracy", "val_loss", "val_accuracy")]
    for name in ("jube", "reframe"):
        if name in found:
            assert [float(number) for number in found[name].output.split()] == ours, (name, found[name].output, row)


def growth(folder: Path, sizes: list[int], rounds: int) -> dict[int, dict[str, Measured]]:
    """Measure how time and memory grow with the size of a log."""
    found = {}
    for size in sizes:
        log = folder / "growing.log"
        write_log(log, "keras2-lines", size, STEPS)
        commands = {"hpcdl": collect("--no-index", str(log)), "grep -c": ["grep", "-c", GREP, str(log)]}
        found[size] = interleaved(commands, rounds if size < GB else min(rounds, 3))
        _check(found[size])
        log.unlink()
    return found


def many_runs(folder: Path, number: int) -> dict[str, tuple[float, float]]:
    """Measure collects of many run folders, in seconds and MB: without an index, then with one, then again."""
    for run_id in range(number):
        _make_run(folder / "runs" / f"mnist-{run_id:05d}", run_id)
    found, outputs = {}, []
    for name, options in (
        ("one process, no index", ["--no-index", "--jobs", "1"]),
        ("all cores, no index", ["--no-index"]),
        ("all cores, first with an index", []),
        ("again, unchanged", []),
        ("again, unchanged, once more", []),
    ):
        *found[name], output = run(collect(*options, str(folder / "runs")))
        outputs.append(output)
    assert outputs[0].count("\n") == number + 1
    assert len(set(outputs)) == 1
    return {name: (round(seconds, 3), round(peak_mb, 1)) for name, (seconds, peak_mb) in found.items()}


def _make_run(folder: Path, run_id: int) -> None:
    """Write a run folder of 20 epochs, every tenth one crashed."""
    folder.mkdir(parents=True)
    failed = run_id % 10 == 0
    job = {"name": "mnist", "train": {"model": "mnist_cnn", "data": "mnist", "epochs": 20, "batch_size": 64}}
    status = {"status": "aborted", "exit_code": 1} if failed else {"status": "success", "exit_code": 0}
    (folder / "record.json").write_text(json.dumps({"schema": 1, "name": "mnist", "job": job, "ranks": 2, **status}))
    events: list[dict[str, object]] = [{"event": "run_start", "ranks": 2, "epochs": 20}]
    events += [
        {"event": "epoch", "epoch": epoch, "epochs": 20, "epoch_s": 31.2, "loss": 1 / epoch, "val_accuracy": 0.9}
        for epoch in range(1, 21)
    ]
    events += [] if failed else [{"event": "test", "test_accuracy": 0.99}, {"event": "run_end", "status": "success"}]
    (folder / "metrics.jsonl").write_text("".join(json.dumps({"time": 0, **event}) + "\n" for event in events))
    (folder / "mnist_out.1").write_text("".join(f"Epoch {epoch}/20\n - 31s - loss: 0.1\n" for epoch in range(1, 21)))
    (folder / "mnist_err.1").write_text("ValueError: bad\n" if failed else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("bench/collect"), help="RESULTS, without suffix")
    parser.add_argument("--largest", type=float, default=10, help="GB of the largest log")
    parser.add_argument("--compare", type=int, default=1000, help="MB of the logs that all readers read")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=10_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        largest = min(int(arguments.largest * GB), shutil.disk_usage(folder).free - SPACE_LEFT)
        sizes = [size for size in (10 * MB, 100 * MB, GB, 10 * GB) if size < largest] + [largest]
        beside = side_by_side(folder, arguments.compare * MB, arguments.rounds)
        grown = growth(folder, sizes, arguments.rounds)
        many = many_runs(folder, arguments.runs)
    write(
        arguments.output,
        "hpcdl collect",
        {"side_by_side": beside, "growth": grown, "many_runs": many},
        _text(arguments.compare, beside, grown, arguments.runs, many),
    )
    print(arguments.output.with_suffix(".md").read_text())


def _text(
    size_mb: int,
    beside: dict[str, dict[str, Measured]],
    grown: dict[int, dict[str, Measured]],
    num_runs: int,
    many: dict[str, tuple[float, float]],
) -> str:
    rows = [
        [
            kind,
            name,
            len(at.seconds),
            f"{at.median_s:.2f}",
            f"{min(at.seconds):.2f}-{max(at.seconds):.2f}",
            f"{size_mb / at.median_s:.0f}",
            f"{at.median_s / found['hpcdl'].median_s:.2f}",
            f"{at.peak_mb:.0f}",
        ]
        for kind, found in beside.items()
        for name, at in found.items()
    ]
    head = ["log", "reader", "n", "median s", "range s", "MB/s", "time / hpcdl's", "peak MB"]
    text = f"## {size_mb} MB, {STEPS} steps an epoch\n\nWhole programs, interleaved.\n\n" + table(head, rows)
    rows = [
        [
            f"{size / MB:.0f}",
            len(found["hpcdl"].seconds),
            f"{found['hpcdl'].median_s:.2f}",
            f"{size / MB / found['hpcdl'].median_s:.0f}",
            f"{found['hpcdl'].peak_mb:.0f}",
            f"{found['grep -c'].median_s:.2f}",
            f"{found['hpcdl'].median_s / found['grep -c'].median_s:.1f}",
        ]
        for size, found in grown.items()
    ]
    head = ["MB", "n", "hpcdl s", "MB/s", "peak MB", "grep -c s", "hpcdl / grep"]
    text += "\n## Growth (keras2-lines)\n\n" + table(head, rows)
    rows = [[name, f"{seconds:.2f}", f"{peak_mb:.0f}"] for name, (seconds, peak_mb) in many.items()]
    return text + f"\n## {num_runs} run folders (n = 1)\n\n" + table(["collect", "s", "peak MB"], rows)


if __name__ == "__main__":
    main()
