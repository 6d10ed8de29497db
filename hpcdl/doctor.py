"""Is this environment fit for data-parallel training? `hpcdl.train.doctor` has the facts, this module judges them."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpcdl.errors import RunError
from hpcdl.run.local import mpirun_command, mpirun_environment
from hpcdl.train.doctor import REPORT

SETUP = "run envs/setup.sh"
MODULES = "load the modules that the environment was made with, or make it anew by envs/setup.sh"
TIME_LIMIT_S = 180
"""Seconds for each of the two probes. TensorFlow's import takes 5 s from a local disk, longer from a shared one."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: what was found; what is wrong with it and what to do (None where all is well)."""

    name: str
    found: str
    problem: str | None = None


def examine() -> list[Check]:
    """Look at this environment: its packages in processes of their own, then a sum over two ranks. Takes about 10 s."""
    trainer, no_trainer = _probe(_doctor("trainer"), 1)
    mpi, no_mpi = _probe(_doctor("mpi"), 1)
    checks = [Check("python", f"{sys.version.split()[0]} ({sys.executable})")]
    checks += judge_trainer(trainer, no_trainer)
    checks += judge_mpi(mpi, no_mpi)
    if trainer and mpi and "horovod" in trainer and "library" in mpi:
        checks.append(judge_libmpi(trainer["libmpi"], mpi["libmpi"], _own_libmpi()))
    return [*checks, *examine_ranks()]


def judge_trainer(report: dict[str, Any] | None, why_not: str) -> list[Check]:
    """Judge what `hpcdl.train.doctor.trainer` reported; without a report, `why_not` says why there is none."""
    if report is None:
        problem = f"importing TensorFlow, Keras and Horovod failed ({why_not}): {SETUP}"
        return [Check("trainer", "crashed", problem)]
    checks = [_judge_package(name, about) for name, about in report["packages"].items()]
    if "keras_backend" in report:
        checks.append(_judge_backend(report["keras_backend"]))
    if "horovod" in report:
        checks.append(_judge_horovod(report["horovod"], report.get("gpus", [])))
    if "kernels" in report:
        found = "compiled" if report["kernels"] else f"TensorFlow's alone, slower on cores (with a compiler: {SETUP})"
        checks.append(Check("kernels", found))
    if "gpus" in report:
        checks.append(_judge_gpus(report["gpus"], report["cuda_built"]))
    return checks


def judge_mpi(report: dict[str, Any] | None, why_not: str) -> list[Check]:
    """Judge what `hpcdl.train.doctor.mpi` reported; without a report, `why_not` says why there is none."""
    if report is None:
        return [Check("mpi4py", "crashed", f"importing mpi4py failed ({why_not}): {SETUP}")]
    checks = [_judge_package(name, about) for name, about in report["packages"].items()]
    if "library" in report:
        checks.append(Check("MPI library", report["library"]))
    return checks


def judge_libmpi(horovod: list[str], mpi4py: list[str], own: str | None) -> Check:
    """Judge the MPI libraries that Horovod and mpi4py load, each alone; `own` is the environment's, if it has one."""
    remedy = (
        "Unload MPI modules and unset LD_LIBRARY_PATH, LD_PRELOAD and MPI4PY_LIBMPI, "
        "or make the environment for the loaded MPI: MPI=site envs/setup.sh"
    )
    problem = None
    if len({*horovod, *mpi4py}) != 1:
        problem = (
            f"Horovod loads {' and '.join(horovod) or 'no MPI library'}, mpi4py {' and '.join(mpi4py) or 'none'}: "
        )
        problem += f"they must share one. {remedy}"
    elif own is not None and horovod != [own]:
        problem = f"Horovod and mpi4py load {horovod[0]} instead of the environment's own {own}. {remedy}"
    return Check("libmpi loaded", ", ".join(sorted({*horovod, *mpi4py})) or "none", problem)


def _own_libmpi() -> str | None:
    return next((str(path.resolve()) for path in Path(sys.prefix, "lib").glob("libmpi.so.*")), None)


def _judge_package(name: str, about: dict[str, str | None]) -> Check:
    if about["version"] is None:
        return Check(name, "missing", f"{name} is not installed for {sys.executable}: {SETUP}")
    if about["error"]:
        return Check(name, about["version"], f"{name} cannot be imported ({about['error']}): {MODULES}")
    # A module system's PYTHONPATH comes before the environment and brings packages compiled for something else.
    for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        if entry and about["file"] and Path(entry).resolve() in Path(about["file"]).resolve().parents:
            return Check(name, about["version"], f"{name} comes from PYTHONPATH ({about['file']}): unset PYTHONPATH")
    return Check(name, about["version"])


def _judge_backend(backend: str) -> Check:
    wrong = f"Keras computes with {backend}, not TensorFlow: unset KERAS_BACKEND (or edit ~/.keras/keras.json)"
    return Check("keras backend", backend, wrong if backend != "tensorflow" else None)


def _judge_horovod(built: dict[str, bool], gpus: list[str]) -> Check:
    found = "with " + " and ".join(
        [word for word, there in (("MPI", built["mpi"]), ("NCCL", built["nccl"])) if there] or ["neither"]
    )
    problem = None
    if not built["mpi"]:
        problem = f"Horovod was compiled without MPI: {SETUP}"
    elif gpus and not built["nccl"]:
        problem = (
            "Horovod was compiled without NCCL, but there are GPUs: load CUDA and NCCL, run GPU=nccl envs/setup.sh"
        )
    return Check("horovod compiled", found, problem)


def _judge_gpus(gpus: list[str], cuda_built: bool) -> Check:
    problem = None
    if not gpus and cuda_built and Path("/dev/nvidia0").exists():
        problem = (
            "there is a GPU (/dev/nvidia0), but TensorFlow does not see it: look at CUDA_VISIBLE_DEVICES and nvidia-smi"
        )
    found = f"{len(gpus)} seen by TensorFlow" if gpus else "none" if cuda_built else "none (TensorFlow for CPUs)"
    return Check("GPUs", found, problem)


def examine_ranks() -> list[Check]:
    """Sum over two ranks that mpirun starts."""
    try:
        command = mpirun_command(2, _doctor("ranks"))
    except RunError as error:
        return [Check("mpirun", "missing", str(error))]
    return [Check("mpirun", command[0]), *judge_ranks(*_probe(command, 2), command[0])]


def judge_ranks(report: dict[str, Any] | None, why_not: str, mpirun: str) -> list[Check]:
    """Judge what `hpcdl.train.doctor.ranks` reported of two ranks; without a report, `why_not` says why."""
    if report is None:
        return [Check("2 ranks", "failed", f"two ranks could not sum over Horovod ({why_not})")]
    sizes = {report["horovod"]["size"], report["mpi"]["size"]}
    sums = {report["horovod"]["sum"], report["mpi"]["sum"]}
    if sizes != {2}:
        alone = (
            f"{mpirun} started two processes, but each sees {sizes} ranks: it belongs to another MPI than the library"
        )
        return [
            Check("2 ranks", f"sizes {sizes}", f"{alone}. Use the environment's own mpirun, or {SETUP} with that MPI")
        ]
    wrong = f"the sum of 1 and 2 over two ranks is {sums}: {SETUP}" if sums != {3.0} else None
    level = report["thread_level"]
    threads = "Horovod's thread and mpi4py use MPI at once: use an MPI built with MPI_THREAD_MULTIPLE"
    return [
        Check("2 ranks", "allreduce is right" if wrong is None else f"sums {sums}", wrong),
        Check("MPI threads", level, threads if level != "MPI_THREAD_MULTIPLE" else None),
    ]


def _doctor(what: str) -> list[str]:
    return [sys.executable, "-m", "hpcdl.train.doctor", what]


def _probe(command: list[str], num_ranks: int) -> tuple[dict[str, Any] | None, str]:
    """Run a probe; return its report, or None and the reason why there is none."""
    environment = {**mpirun_environment(num_ranks), "TF_CPP_MIN_LOG_LEVEL": "3", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
        start_new_session=True,  # so that mpirun can be ended with all its ranks
    )
    try:
        output, _ = process.communicate(timeout=TIME_LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None, f"no answer within {TIME_LIMIT_S} s"
    lines = output.splitlines()
    for line in lines:
        if line.startswith(REPORT):
            return json.loads(line.removeprefix(REPORT)), ""
    said = next(
        (line.strip() for line in reversed(lines) if "Error" in line), lines[-1].strip() if lines else "no output"
    )
    ended = f"signal {-process.returncode}" if process.returncode < 0 else f"exit code {process.returncode}"
    return None, f"{ended}: {said}"
