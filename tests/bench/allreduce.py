"""The allreduce of hpcdl's trainer beside raw MPI: python tests/bench/allreduce.py [-o RESULTS] [--rounds N].

1. Seconds of an allreduce on 2 ranks of this machine by message size: mpi4py's Allreduce, and the path of a training
   step (tf.function, Horovod, MPI), in turns.
2. The two numbers of the model of `hpcdl predict` for this machine, fitted to each: latency and bandwidth.
3. Whether that model, given raw MPI's two numbers and the speed of one rank alone, predicts jobs/mnist.yaml on 2 ranks,
   with an allreduce of all gradients.
   One rank alone leaves the memory and the power of the processor to itself; so the speed of two that train at the same
   time without a word to each other is measured too.

Writes RESULTS.json and RESULTS.md. The images are synthetic: no data set is needed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from harness import in_turns, spread, table, write

from hpcdl.job import load_job
from hpcdl.run.local import mpirun_command, mpirun_environment
from hpcdl.runlog import METRICS_FILE, read_events
from hpcdl.scaling.model import Bracket, Links, Step, allreduces, step_s

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
JOB = ROOT / "jobs" / "mnist.yaml"
RANKS = 2
PARAMETERS = 1_256_080
GRADIENTS = 4 * PARAMETERS
SIZES = (4, 1024, 16 * 1024, 256 * 1024, 2**20, GRADIENTS, 2**24, 2**26)
"""In bytes; one of them is what a step of the MNIST CNN sends."""
IMAGES = 9_600
CYCLE_S, BUFFER = 0.001, 128 * 2**20
"""Horovod's own settings."""


def measure_sizes(rounds: int) -> dict[str, dict[int, list[float]]]:
    """Return the median seconds of each round, by kind and size; kinds take turns."""
    found = in_turns({kind: partial(_median_seconds, kind) for kind in ("mpi", "hpcdl")}, rounds)
    return {kind: {size: [one[size] for one in each] for size in SIZES} for kind, each in found.items()}


def _median_seconds(kind: str) -> dict[int, float]:
    program = [sys.executable, str(HERE / "allreduce_ranks.py"), kind, *map(str, SIZES)]
    ended = subprocess.run(
        mpirun_command(RANKS, program), env=_environment(RANKS), stdout=subprocess.PIPE, check=True, text=True
    )
    taken = json.loads(ended.stdout.splitlines()[-1])
    return {int(size): statistics.median(seconds) for size, seconds in taken.items()}


def fit(medians: dict[int, float]) -> dict[str, float]:
    """Return latency and bandwidth by which the model comes nearest to what was measured, each size counting alike.

    On p ranks the model's allreduce takes 2 (p - 1) messages and 2 (p - 1) / p of the bytes.
    """
    sizes, seconds = np.array(list(medians)), np.array(list(medians.values()))
    messages = np.full(len(sizes), 2.0 * (RANKS - 1))
    factors = np.stack([messages, 2 * (RANKS - 1) / RANKS * sizes], axis=1)
    found, *_ = np.linalg.lstsq(factors / seconds[:, None], np.ones(len(sizes)), rcond=None)
    predicted, (latency, per_byte) = factors @ found, map(float, found)  # JSON knows no numbers of NumPy
    return {
        "latency_us": latency * 1e6,
        "gb_per_s": 1e-9 / per_byte,
        "worst_ratio": float(np.max(np.maximum(predicted / seconds, seconds / predicted))),
    }


def measure_job(rounds: int, epochs: int) -> dict[str, list[float]]:
    """Return the images/s of one rank of each round: alone, two at once without allreduce, and two ranks together."""
    cores = sorted(os.sched_getaffinity(0))[:RANKS]
    sides = {
        "alone": [(1, cores[:1])],
        "two at once": [(1, [core]) for core in cores],
        "two ranks": [(RANKS, cores)],
    }
    return in_turns({name: partial(_train, runs, epochs) for name, runs in sides.items()}, rounds)


def _train(runs: list[tuple[int, list[int]]], epochs: int) -> float:
    """Run the job as often at once as there are (ranks, cores); return the images/s of one rank, their mean."""
    with tempfile.TemporaryDirectory() as name:
        changes = [f"train.data={{name: synthetic, num_train: {IMAGES}}}", f"train.epochs={epochs}", "expect={}"]
        changes.append("train.horovod.gather_dense=false")  # the model is one of the allreduce of all gradients
        program = [sys.executable, "-m", "hpcdl", "run", str(JOB)]
        options = [word for change in changes for word in ("--set", change)]
        started = [
            subprocess.Popen(
                [*program, "-n", str(ranks), *options, "--runs", f"{name}/{number}"],
                env=_environment(ranks),
                stdout=subprocess.DEVNULL,
                preexec_fn=lambda cores=cores: os.sched_setaffinity(0, cores),
            )
            for number, (ranks, cores) in enumerate(runs)
        ]
        for process in started:
            if process.wait():
                raise subprocess.CalledProcessError(process.returncode, process.args)
        rates = []
        for number, (ranks, _) in enumerate(runs):
            (file,) = Path(name, str(number)).glob(f"*/{METRICS_FILE}")
            events, _ = read_events(file.read_text().splitlines())
            start = next(event for event in events if event["event"] == "run_start")
            assert start["parameters"] == PARAMETERS
            assert all(rank["device"] == "1 core" for rank in start["rank_map"]), start["rank_map"]
            rates.append(events[-1]["images_per_s"] / ranks)
    return statistics.fmean(rates)


def _environment(ranks: int) -> dict[str, str]:
    environment = {**mpirun_environment(ranks), "TF_CPP_MIN_LOG_LEVEL": "2"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return environment


def predict_two_ranks(rate: float, fitted: dict[str, float]) -> Bracket:
    """Return the images/s of one of two ranks by the model, given those of a rank that never waits."""
    latency = Bracket(fitted["latency_us"] * 1e-6, fitted["latency_us"] * 1e-6)
    bandwidth = fitted["gb_per_s"] * 1e9
    batch = load_job(JOB).training.batch_size
    step = Step(batch / rate, GRADIENTS, allreduces(GRADIENTS, BUFFER), CYCLE_S)
    return step_s(step, 1, RANKS, Links(bandwidth, latency, bandwidth)).map(lambda seconds: batch / seconds)


def check(job: dict[str, list[float]], fitted: dict[str, float]) -> dict[str, Any]:
    """Return what the model says of two ranks from each baseline, beside what was measured."""
    measured = statistics.median(job["two ranks"])
    found: dict[str, Any] = {}
    for baseline in ("alone", "two at once"):
        predicted = predict_two_ranks(statistics.median(job[baseline]), fitted)
        found[baseline] = {
            "predicted_least": predicted.least,
            "predicted_most": predicted.most,
            "measured": measured,
            "inside": predicted.least <= measured <= predicted.most,
            "measured_over_least": measured / predicted.least,
        }
    return found


def _us(seconds: list[float]) -> str:
    return spread([one * 1e6 for one in seconds], 1)


def _text(results: dict[str, Any]) -> str:
    sizes, job = results["seconds"], results.get("job_images_per_s_per_rank")
    rows = []
    for size in SIZES:
        raw, ours = sizes["mpi"][size], sizes["hpcdl"][size]
        extra = statistics.median(ours) - statistics.median(raw)
        rows.append(
            [
                *(f"{size:,}", _us(raw), _us(ours), f"{extra * 1e6:,.0f}"),
                *(f"{size / statistics.median(seconds) / 1e9:.2f}" for seconds in (raw, ours)),
            ]
        )
    head = ["bytes", "MPI us", "hpcdl us", "difference us", "MPI GB/s", "hpcdl GB/s"]
    text = (
        f"## Allreduce on {RANKS} ranks by size\n\nMedians of {results['rounds']} rounds (least to greatest), of each "
        "round the median of 5 to 40; GB/s: bytes over time. hpcdl: the path of a training step, Horovod's cycle "
        "included.\n\n"
    )
    text += table(head, rows)
    head = ["fitted to", "latency us", "GB/s", "farthest size, factor"]
    rows = [
        [kind, f"{found['latency_us']:.1f}", f"{found['gb_per_s']:.2f}", f"{found['worst_ratio']:.1f}"]
        for kind, found in results["fit"].items()
    ]
    text += "\n## Latency and bandwidth of the model\n\n" + table(head, rows)
    if not job:
        return text
    text += "\n## jobs/mnist.yaml on synthetic images, images/s of one rank on one core\n\n"
    text += table(["", "median (least to greatest)"], [[name, spread(rates)] for name, rates in job.items()])
    head = ["prediction for 2 ranks from", "least", "most", "measured", "inside", "measured / least"]
    rows = [
        [
            *(name, f"{at['predicted_least']:,.0f}", f"{at['predicted_most']:,.0f}", f"{at['measured']:,.0f}"),
            *("yes" if at["inside"] else "no", f"{at['measured_over_least']:.2f}"),
        ]
        for name, at in results["check"].items()
    ]
    return text + "\n" + table(head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("bench/allreduce"), help="RESULTS, without suffix")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2)
    arguments = parser.parse_args()
    seconds = measure_sizes(arguments.rounds)
    medians = {kind: {size: statistics.median(all_) for size, all_ in of.items()} for kind, of in seconds.items()}
    fitted = {kind: fit(of) for kind, of in medians.items()}
    results = {
        "rounds": arguments.rounds,
        "ranks": RANKS,
        "settings": {name: value for name, value in os.environ.items() if name.startswith(("OMPI_", "HOROVOD_"))},
        "seconds": seconds,
        "fit": fitted,
    }
    write(arguments.output, "Allreduce", results, _text(results))  # what follows takes minutes
    job = measure_job(arguments.rounds, arguments.epochs)
    results |= {"job_images_per_s_per_rank": job, "check": check(job, fitted["mpi"])}
    write(arguments.output, "Allreduce", results, _text(results))
    print(arguments.output.with_suffix(".md").read_text())


if __name__ == "__main__":
    main()
