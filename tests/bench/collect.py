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

from harness import Measured, interleaved, measure, table, write
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

BAR_MB = 1000
"""The bars are for logs of so many MB at least: smaller ones measure how programs start."""
MOST_OF_GREP = 4
"""Bar: our time is at most so many times that of `grep -c`."""
LEAST_OF_WHOLE_TEXT = 5
"""Bar: reading the whole text, as JUBE and ReFrame do, takes at least so many times ours."""
FIRST_S, AGAIN_S = 20, 2
"""Bars for 10,000 run folders on two cores, in s: the first collect, one of unchanged runs."""
FIRST, AGAIN = "all cores, first with an index", "again, unchanged"


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


def many_runs(folder: Path, number: int, rounds: int) -> dict[str, Measured]:
    """Measure collects of many run folders: once each without an index and with a new one, then again and again."""
    for run_id in range(number):
        _make_run(folder / "runs" / f"mnist-{run_id:05d}", run_id)
    found = {}
    outputs = []
    for name, options, times in (
        ("one process, no index", ["--no-index", "--jobs", "1"], 1),
        ("all cores, no index", ["--no-index"], 1),
        (FIRST, [], 1),
        (AGAIN, [], rounds),
    ):
        found[name] = Measured()
        for _ in range(times):
            measure(collect(*options, str(folder / "runs")), found[name])
            outputs.append(found[name].output)
    assert outputs[0].count("\n") == number + 1
    assert len(set(outputs)) == 1
    return found


def bars(
    size_mb: int, beside: dict[str, dict[str, Measured]], num_runs: int, many: dict[str, Measured]
) -> list[dict[str, object]]:
    """Return what was promised beside what was seen (medians of wall-clock times), and whether it is met."""
    found = []

    def compare(what: str, seen: float, at_least: float | None = None, at_most: float | None = None) -> None:
        met = (at_least is None or seen >= at_least) and (at_most is None or seen <= at_most)
        bar = f">= {at_least}" if at_most is None else f"<= {at_most}"
        found.append({"what": what, "bar": bar, "seen": round(seen, 2), "met": met})

    for kind, readers in beside.items() if size_mb >= BAR_MB else ():
        ours_s = readers["hpcdl"].median_s
        compare(f"{kind}: hpcdl / grep -c", ours_s / readers["grep -c"].median_s, at_most=MOST_OF_GREP)
        for name in ("jube", "reframe"):
            if name in readers:
                compare(f"{kind}: {name} / hpcdl", readers[name].median_s / ours_s, at_least=LEAST_OF_WHOLE_TEXT)
    if num_runs == 10_000:
        compare("10,000 run folders, first collect, s", many[FIRST].median_s, at_most=FIRST_S)
        compare("10,000 run folders, again, s", many[AGAIN].median_s, at_most=AGAIN_S)
    return found


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
        many = many_runs(folder, arguments.runs, arguments.rounds)
    promised = bars(arguments.compare, beside, arguments.runs, many)
    write(
        arguments.output,
        "hpcdl collect",
        {"side_by_side": beside, "growth": grown, "many_runs": many, "bars": promised},
        _text(arguments.compare, beside, grown, arguments.runs, many, promised),
    )
    print(arguments.output.with_suffix(".md").read_text())


def _text(
    size_mb: int,
    beside: dict[str, dict[str, Measured]],
    grown: dict[int, dict[str, Measured]],
    num_runs: int,
    many: dict[str, Measured],
    promised: list[dict[str, object]],
) -> str:
    head = ["log", "reader", "n", "median s", "range s", "MB/s", "median CPU s", "CPU s / hpcdl's", "peak MB"]
    rows = [
        [
            *(kind, name, len(at.seconds), f"{at.median_s:.2f}", f"{min(at.seconds):.2f}-{max(at.seconds):.2f}"),
            *(f"{size_mb / at.median_s:.0f}", f"{at.median_cpu_s:.2f}"),
            *(f"{at.median_cpu_s / found['hpcdl'].median_cpu_s:.2f}", f"{at.peak_mb:.0f}"),
        ]
        for kind, found in beside.items()
        for name, at in found.items()
    ]
    text = f"## {size_mb} MB, {STEPS} steps an epoch\n\nWhole programs, interleaved.\n\n" + table(head, rows)
    head = ["MB", "n", "hpcdl s", "MB/s", "CPU s", "peak MB", "grep -c s", "its CPU s", "hpcdl / grep s", "CPU s"]
    rows = []
    for size, found in grown.items():
        ours, grep = found["hpcdl"], found["grep -c"]
        rows.append(
            [
                *(f"{size / MB:.0f}", len(ours.seconds), f"{ours.median_s:.2f}", f"{size / MB / ours.median_s:.0f}"),
                *(f"{ours.median_cpu_s:.2f}", f"{ours.peak_mb:.0f}", f"{grep.median_s:.2f}"),
                *(f"{grep.median_cpu_s:.2f}", f"{ours.median_s / grep.median_s:.1f}"),
                f"{ours.median_cpu_s / grep.median_cpu_s:.1f}",
            ]
        )
    text += "\n## Growth (keras2-lines)\n\n" + table(head, rows)
    rows = [
        [name, len(at.seconds), f"{at.median_s:.2f}", f"{at.median_cpu_s:.2f}", f"{at.peak_mb:.0f}"]
        for name, at in many.items()
    ]
    text += f"\n## {num_runs} run folders\n\n" + table(["collect", "n", "median s", "median CPU s", "peak MB"], rows)
    rows = [[bar["what"], bar["bar"], bar["seen"], "met" if bar["met"] else "MISSED"] for bar in promised]
    return text + ("\n## Bars\n\n" + table(["what", "bar", "seen", ""], rows) if rows else "")


if __name__ == "__main__":
    main()
