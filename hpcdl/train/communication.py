"""Horovod's settings: from the job file into the environment before Horovod starts, and what its autotuning found.

What it found is kept in the user's cache for the model, the number of ranks and the machine, and used from then on.
"""

import csv
import datetime
import json
import os
import socket
import tempfile
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from hpcdl.files import write_atomically
from hpcdl.train.world import asked_size
from hpcdl.training import Training

MIB = 1024 * 1024
FUSION, CYCLE, AUTOTUNE, LOG = (
    f"HOROVOD_{name}" for name in ("FUSION_THRESHOLD", "CYCLE_TIME", "AUTOTUNE", "AUTOTUNE_LOG")
)
TRIALS = {
    "HOROVOD_HIERARCHICAL_ALLREDUCE": "0",
    "HOROVOD_HIERARCHICAL_ALLGATHER": "0",
    "HOROVOD_CACHE_CAPACITY": "1024",
    "HOROVOD_AUTOTUNE_WARMUP_SAMPLES": "1",
    "HOROVOD_AUTOTUNE_STEPS_PER_SAMPLE": "5",
    "HOROVOD_AUTOTUNE_BAYES_OPT_MAX_SAMPLES": "12",
}
"""The first three are Horovod's own values: what is set is not tried. A sample is five times that many steps, so that
all of it takes some 350 steps; with Horovod's own numbers it takes several thousand, and most runs end before."""


def prepare(training: Training, environment: MutableMapping[str, str] = os.environ) -> None:
    """Set Horovod's variables as the job wants them, where they are not set; call it before `world`.

    Every rank may call it with another result: `world` gives rank 0's settings to all.
    """
    wanted = training.horovod
    ranks = (asked_size(dict(environment)) or (1, ""))[0]
    found = tuned(str(training.model), ranks) if wanted.autotune else None
    threshold = found["fusion_threshold_mib"] if found else wanted.fusion_threshold_mib
    cycle = found["cycle_time_ms"] if found else wanted.cycle_time_ms
    if threshold is not None:
        environment.setdefault(FUSION, str(round(threshold * MIB)))
    if cycle is not None:
        environment.setdefault(CYCLE, f"{cycle:g}")
    if wanted.autotune and not found and ranks > 1:
        environment.setdefault(AUTOTUNE, "1")
        environment.setdefault(LOG, str(Path(tempfile.gettempdir()) / f"hpcdl-autotune-{os.getpid()}.csv"))
        for name, value in TRIALS.items():
            environment.setdefault(name, value)


def describe(training: Training, ranks: int) -> str | None:
    """Return what a run says of its communication, None where it has nothing of its own to say."""
    told = []
    if training.horovod.wire != "float32":
        told.append(f"gradients travel as {training.horovod.wire}")
    if FUSION in os.environ:
        told.append(f"fusion threshold {int(os.environ[FUSION]) / MIB:g} MiB")
    if CYCLE in os.environ:
        told.append(f"cycle time {os.environ[CYCLE]} ms")
    if training.horovod.autotune and ranks > 1:
        if AUTOTUNE in os.environ:
            told.append("autotune tries values in the first few hundred steps")
        elif found := tuned(str(training.model), ranks):
            told.append(f"found by autotune on {found['date']} ({cache_file()})")
    return ", ".join(told) or None


def keep_tuned(training: Training, ranks: int, folder: Path) -> str | None:
    """Keep what autotune found, and its log in the run's folder; rank 0 calls it after the training.

    Returns:
        What there is to say of it, None where nothing was tried.
    """
    log = Path(os.environ.get(LOG, ""))
    if AUTOTUNE not in os.environ or not log.is_file():
        return None
    text = log.read_text()
    write_atomically(folder / "autotune.csv", text)
    log.unlink()
    best = read_autotune(text)
    if best is None:
        return "Autotune did not come to its end in this run; nothing is kept. It needs a few hundred steps."
    entries = _entries()
    entries[_key(str(training.model), ranks)] = best | {"date": datetime.date.today().isoformat()}
    cache_file().parent.mkdir(parents=True, exist_ok=True)
    write_atomically(cache_file(), json.dumps(entries, indent=1, sort_keys=True) + "\n")
    return (
        f"Autotune found fusion threshold {best['fusion_threshold_mib']:g} MiB and cycle time "
        f"{best['cycle_time_ms']:g} ms; the next run with autotune takes them from {cache_file()}"
    )


def read_autotune(text: str) -> dict[str, float] | None:
    """Return the best values of Horovod's autotune log, None where it did not come to its end.

    Each line is one sample with its score in bytes per microsecond; at the end the best one is written once more.
    """
    columns = ("tensor_fusion_threshold", "cycle_time_ms", "score")
    try:
        samples = [tuple(float(row[name]) for name in columns) for row in csv.DictReader(text.splitlines())]
    except (KeyError, TypeError, ValueError):  # a line that was cut
        return None
    if len(samples) < 2 or samples[-1] not in samples[:-1] or samples[-1][2] < max(score for *_, score in samples):
        return None
    return {"fusion_threshold_mib": samples[-1][0], "cycle_time_ms": samples[-1][1]}


def tuned(model: str, ranks: int) -> dict[str, Any] | None:
    """Return what autotune found for a model and number of ranks on this machine, None when it is not known."""
    entry = _entries().get(_key(model, ranks))
    whole = isinstance(entry, dict) and {"fusion_threshold_mib", "cycle_time_ms", "date"} <= entry.keys()
    return entry if whole else None


def cache_file() -> Path:
    """Where the values are kept that autotune found."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hpcdl" / "autotune.json"


def _key(model: str, ranks: int) -> str:
    machine = os.environ.get("SLURM_CLUSTER_NAME") or socket.gethostname()
    return f"{model}, {ranks} ranks, {machine}"


def _entries() -> dict[str, Any]:
    try:
        entries = json.loads(cache_file().read_text())
    except (OSError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}
