"""Time to the lecture's accuracy on MNIST: the lecture's script under plain Keras, and `hpcdl run` of a job file."""

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from harness import spread, table
from processes import run
from trainings import PEERS, make_data

from hpcdl.run.local import mpirun_environment
from hpcdl.runlog import METRICS_FILE, read_events

ROOT = Path(__file__).parents[2]
TITLE = "Time to the lecture's accuracy on MNIST"
GOAL = 0.9927
"""What the lecture printed for its 20 epochs, and what jobs/mnist.yaml promises."""
JOBS = [job for job in sorted((ROOT / "jobs").glob("mnist*.yaml")) if job.stem != "mnist_lecture"]
"""Those that promise it."""
ROUNDS = 3


def measure(quick: bool) -> dict[str, Any]:
    """Run the lecture's script once, which takes minutes, and each job file before and, with other seeds, after it."""
    with tempfile.TemporaryDirectory() as name:
        data = make_data(Path(name, "data.npz"), (28, 28, 1), 1280) if quick else _mnist(Path(name, "mnist.npz"))
        changes = ["train.epochs=2", f"train.data={{name: npz, path: {data}}}"] if quick else []
        ours = {job.name: [_run(job, 1, changes)] for job in JOBS}
        lecture = run([sys.executable, str(PEERS / "keras_lecture.py"), str(data), "2" if quick else "20"])
        script = json.loads(next(line for line in lecture.output.splitlines() if line.startswith("{")))
        time_s = round(lecture.wall_s - script.pop("looking_s"), 2)
        for seed in range(2, 2 if quick else ROUNDS + 1):
            for job in JOBS:
                ours[job.name].append(_run(job, seed, changes))
    return {"goal": GOAL, "lecture": {**script, "time_s": time_s}, "hpcdl": ours}


def _mnist(path: Path) -> Path:
    """Write the real MNIST as the archive that the script reads."""
    from hpcdl.train.data.idx import MNIST

    data = MNIST.load()
    x_train, x_test = np.asarray(data.train_inputs), np.asarray(data.test_inputs)
    np.savez(path, x_train=x_train, y_train=data.train_targets, x_test=x_test, y_test=data.test_targets)
    return path


def _run(job: Path, seed: int, changes: list[str]) -> dict[str, float]:
    """Run a job file and return the seconds of the whole program, and the accuracy on the test images."""
    with tempfile.TemporaryDirectory() as runs:
        options = [word for change in [f"train.seed={seed}", *changes] for word in ("--set", change)]
        command = [sys.executable, "-m", "hpcdl", "run", str(job), "--runs", runs, *options]
        ended = run(command, mpirun_environment(1))
        (file,) = Path(runs).glob(f"*/{METRICS_FILE}")
        events, _ = read_events(file.read_text().splitlines())
    tested = next(event for event in events if event["event"] == "test")
    return {"seed": seed, "time_s": round(ended.wall_s, 2), "test_accuracy": round(tested["test_accuracy"], 4)}


def reached(found: dict[str, Any]) -> dict[str, float] | None:
    """Return the first epoch of the lecture's script that reached the goal, None where none did."""
    return next((epoch for epoch in found["lecture"]["epochs"] if epoch["test_accuracy"] >= found["goal"]), None)


def best(found: dict[str, Any]) -> tuple[str, list[dict[str, float]]]:
    """Return the fastest of the job files whose every run reached the goal, else the fastest: its name and runs."""
    jobs = found["hpcdl"].items()
    good = [job for job in jobs if min(run["test_accuracy"] for run in job[1]) >= found["goal"]]
    return min(good or jobs, key=lambda job: statistics.median(run["time_s"] for run in job[1]))


def section(found: dict[str, Any]) -> str:
    """Return what was found in Markdown."""
    lecture, first, goal = found["lecture"], reached(found), found["goal"]
    rows = []
    if first:
        name = f"lecture's script, until epoch {first['epoch']}, the first at the goal"
        rows.append([name, 1, f"{first['time_s']:.0f}", f"{first['test_accuracy']:.4f}", "", ""])
    last = lecture["epochs"][-1]
    rows.append(["lecture's script, whole", 1, f"{lecture['time_s']:.0f}", f"{last['test_accuracy']:.4f}", "", ""])
    for job, runs in found["hpcdl"].items():
        times, accuracies = [one["time_s"] for one in runs], [one["test_accuracy"] for one in runs]
        faster = [spread([lecture["time_s"] / time_s for time_s in times], 1)]
        faster.insert(0, spread([first["time_s"] / time_s for time_s in times], 1) if first else "")
        rows.append([f"`hpcdl run jobs/{job}`", len(runs), spread(times, 1), spread(accuracies, 4), *faster])
    head = ["", "n", "seconds, start included", f"test accuracy (goal {goal})"]
    text = table([*head, "times faster than to the goal", "than the whole script"], rows) + "\n"
    text += "" if first else f"No epoch of the script's run reached {goal:.2%}. "
    text += (
        "The script looks at the test images after each epoch here, which is taken off its time; hpcdl looks at them "
    )
    return text + "once, at the end, with another seed in each run. Both on the same two cores, hpcdl on two ranks.\n"


def plot(found: dict[str, Any], axes: Any) -> None:
    """Draw accuracy over time."""
    epochs = found["lecture"]["epochs"]
    label = "the lecture's script, Keras"
    axes.plot([e["time_s"] for e in epochs], [e["test_accuracy"] for e in epochs], "o-", color="tab:gray", label=label)
    for job, runs in found["hpcdl"].items():
        axes.plot([r["time_s"] for r in runs], [r["test_accuracy"] for r in runs], "*", ms=11, label=f"hpcdl, {job}")
    axes.axhline(found["goal"], color="black", linewidth=0.8, linestyle=":")
    axes.set(xlabel="seconds since the start", ylabel="test accuracy", xscale="log")
    axes.legend()
