"""What a checkpoint, its restoring and the resumption of a run cost, and how the first two grow with the model."""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch_environment
from harness import spread, table
from processes import run, start
from trainings import PEERS, make_data

from hpcdl.run.local import mpirun_environment
from hpcdl.runlog import METRICS_FILE, read_events

TITLE = "Checkpoints and resumption"
NETWORKS = ("resnet20_cifar", "mnist_cnn", "resnet50")
"""From 0.3 to 24 million parameters."""
NAMES = {"hpcdl": "hpcdl", "keras": "Keras `save`", "torch": "PyTorch `save`"}
TIMES, ROUNDS = 5, 3
LONGEST_S = 600
"""To wait for a run to come so far."""


def measure(quick: bool) -> dict[str, Any]:
    """Save and restore the state of each network by each, and resume a run that was stopped."""
    pythons = {"hpcdl": sys.executable, "keras": sys.executable}
    if found := torch_environment.python():
        pythons["torch"] = str(found)
    saved = {
        network: {side: _save(python, side, network, 1 if quick else TIMES) for side, python in pythons.items()}
        for network in (NETWORKS[:1] if quick else NETWORKS)
    }
    return {"saved": saved, "resumed": [_resume() for _ in range(1 if quick else ROUNDS)]}


def _save(python: str, side: str, network: str, times: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        command = [python, str(PEERS / "saving.py"), side, network, folder, str(times)]
        return json.loads(run(command).output.splitlines()[-1])


def _resume() -> dict[str, float]:
    """Stop a run of the lecture's network after its first checkpoint and resume it.

    Returns:
        Seconds from the start of the program to the end of the first block of steps: of the run, and of its resumption.
    """
    with tempfile.TemporaryDirectory() as name:
        data = make_data(Path(name, "data.npz"), (28, 28, 1), 2560)
        Path(name, "job.yaml").write_text(
            "name: bench\nresources: {nodes: 1, ranks_per_node: 2, time: '01:00:00'}\ntrain: {model: mnist_cnn, "
            f"epochs: 10000, batch_size: 64, data: {{name: npz, path: {data}}}, precision: auto}}\n"
        )
        begin_s = _until_first_block([f"{name}/job.yaml", "--runs", f"{name}/runs"], Path(name), 0, "run")
        (folder,) = Path(name).glob("runs/*")
        resume_s = _until_first_block([str(folder)], Path(name), len(_progress(Path(name))), "resume")
    return {"begin_s": begin_s, "resume_s": resume_s}


def _until_first_block(words: list[str], folder: Path, seen: int, command: str) -> float:
    """Start hpcdl, stop it once it has both a checkpoint and a new block of steps, and return when the block ended."""
    began, process = start([sys.executable, "-m", "hpcdl", command, *words], mpirun_environment(2))
    try:
        while len(_progress(folder)) <= seen or not list(folder.glob("runs/*/checkpoints/latest")):
            if process.poll() is not None or time.time() > began + LONGEST_S:
                raise RuntimeError(f"hpcdl {command} did not come to its first steps and checkpoint")
            time.sleep(0.1)
        first = _progress(folder)[seen]
    finally:
        process.terminate()  # not SIGINT, which a program that was started in the background may not heed
        process.communicate(timeout=LONGEST_S)
    return round(first - began, 3)


def _progress(folder: Path) -> list[float]:
    """When each progress event of the run was written, in s since 1970."""
    return [
        event["time"]
        for file in folder.glob(f"runs/*/{METRICS_FILE}")
        for event in read_events(file.read_text().splitlines())[0]
        if event["event"] == "progress"
    ]


def section(found: dict[str, Any]) -> str:
    """Return what was found in Markdown."""
    rows = [
        [network, NAMES[side], f"{at['mb']:,.1f}", len(at["save_s"]), spread(at["save_s"], 3), spread(at["load_s"], 3)]
        for network, sides in found["saved"].items()
        for side, at in sides.items()
    ]
    text = table(["network", "", "MB", "n", "save, s", "restore, s"], rows)
    begin, resume = ([one[key] for one in found["resumed"]] for key in ("begin_s", "resume_s"))
    text += "\nWeights and Adam's state, on images of 32x32x3. hpcdl's file has a checksum and is on the disk (fsync) "
    text += "when the save returns; the others leave that to the system. Keras's restoring builds the network anew.\n\n"
    text += "From the command to the end of the first steps on two ranks, lecture's network: `hpcdl run` "
    return f"{text}{spread(begin, 1)} s, `hpcdl resume` of a stopped run {spread(resume, 1)} s (n = {len(begin)}).\n"


def plot(found: dict[str, Any], axes: Any) -> None:
    """Draw the time of a save over the size."""
    for side, name in NAMES.items():
        at = [sides[side] for sides in found["saved"].values() if side in sides]
        if at:
            label = name.replace("`", "")
            axes.plot([one["mb"] for one in at], [statistics.median(one["save_s"]) for one in at], "o-", label=label)
    axes.set(xlabel="MB on disk", ylabel="seconds to save", xscale="log", yscale="log")
    axes.legend()
