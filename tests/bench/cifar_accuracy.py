"""Train jobs of CIFAR-10 with several seeds and keep accuracies, times and the machine: JOB... [--seeds 1 2 3].

Each run is added to docs/performance/cifar_accuracy.json as soon as it has ended; it takes the place of an older one of
the same job and seed. What was measured with another recipe of the job goes. Needs HPCDL_DATA, or CIFAR-10 in hpcdl's
cache. On 2 cores a run of jobs/cifar_fast.yaml or jobs/cifar_resnet20.yaml takes some minutes.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import machine, table

TITLE = "Accuracy on CIFAR-10"
RESULTS = Path(__file__).parents[2] / "docs" / "performance" / "cifar_accuracy.json"
TARGET = 0.9
"""Test accuracy to which the time is given."""
QUIET_LOAD = 0.5
"""Mean number of other processes that want to compute, before a run, up to which the machine counts as quiet."""


def measure(job_file: Path, seed: int) -> dict[str, Any]:
    """Run a job once with `hpcdl run` and return what its records say.

    Raises:
        subprocess.CalledProcessError: the run failed.
    """
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as runs:
        began = time.perf_counter()
        command = ["hpcdl", "run", str(job_file), "--set", f"train.seed={seed}", "--set", "expect={}", "--runs", runs]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        wall_s = time.perf_counter() - began
        (folder,) = Path(runs).iterdir()
        return summary(folder, seed, wall_s) | {"loaded": load > QUIET_LOAD, "load_before": round(load, 2)}


def summary(folder: Path, seed: int, wall_s: float) -> dict[str, Any]:
    """Return one row of results from the folder of a run that has ended."""
    record = json.loads((folder / "record.json").read_text())
    events: dict[str, dict[str, Any]] = {}
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        event = json.loads(line)
        events[event["event"]] = event
    begin, test, end = events["run_start"], events["test"], events["run_end"]
    reached = test["test_accuracy"] > TARGET
    recipe = {**record["job"]["train"], "seed": None}
    return {
        "job": record["name"],
        "recipe": recipe,
        "network": recipe["model"],
        "parameters": begin["parameters"],
        "data_sha256": begin["data"]["sha256"],
        "ranks": begin["ranks"],
        "precision": begin["precision"],
        "epochs": begin["epochs"],
        "seed": seed,
        "test_accuracy": test["test_accuracy"],
        "test_mirrored_accuracy": test.get("test_mirrored_accuracy"),
        "train_s": round(end["train_s"], 1),
        "wall_s": round(wall_s, 1),
        "train_s_to_90_percent": round(end["train_s"], 1) if reached else None,
        "wall_s_to_90_percent": round(wall_s, 1) if reached else None,
        "images_per_s": round(end["images_per_s"]),
        "versions": begin["versions"],
        "machine": {name: value for name, value in machine().items() if name != "load_of_1_minute"},
    }


def merge(rows: list[dict[str, Any]], row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows with a new one; those of the same job with another recipe go, and its own seed's older one."""
    kept = [
        old
        for old in rows
        if old["job"] != row["job"] or (old["recipe"] == row["recipe"] and old["seed"] != row["seed"])
    ]
    return sorted([*kept, row], key=lambda one: (one["job"], one["seed"]))


def described(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table, one line for each job."""
    lines = []
    for job in dict.fromkeys(row["job"] for row in rows):
        mine = [row for row in rows if row["job"] == job]
        accuracies = [row["test_accuracy"] for row in mine]
        quiet = [row for row in mine if not row["loaded"]] or mine
        note = "" if not quiet[0]["loaded"] else " (machine busy: upper bounds)"
        median = {key: statistics.median(row[key] for row in quiet) for key in ("train_s", "wall_s", "images_per_s")}
        mirrored = [row["test_mirrored_accuracy"] for row in mine if row.get("test_mirrored_accuracy")]
        both = f"{statistics.mean(mirrored):.4f}" if mirrored else ""
        spread = f"{statistics.mean(accuracies):.4f} ({min(accuracies):.4f} to {max(accuracies):.4f}), n={len(mine)}"
        times = f"{median['train_s']:.0f} s, {median['wall_s']:.0f} s{note}"
        size, rate = f"{mine[0]['parameters']:,}", median["images_per_s"]
        lines.append([job, size, mine[0]["epochs"], spread, both, times, rate])
    heads = ["job", "parameters", "epochs", "test accuracy", "with mirrored images", "training, hpcdl run", "images/s"]
    return table(heads, lines)


def section(rows: list[dict[str, Any]]) -> str:
    """Return what docs/performance.md shows of the rows."""
    return described(rows) + "\nWhole runs, one after another, compared with nothing; [more of them](cifar.md).\n"


plot = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", nargs="+", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    options = parser.parse_args()
    for job_file in options.jobs:
        for seed in options.seeds:
            row = measure(job_file, seed)
            rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
            RESULTS.parent.mkdir(parents=True, exist_ok=True)
            RESULTS.write_text(json.dumps(merge(rows, row), indent=1) + "\n")
            print(f"{row['job']}, seed {seed}: {row['test_accuracy']} after {row['train_s']} s of training", flush=True)
    print(described(json.loads(RESULTS.read_text())))


if __name__ == "__main__":
    main()
