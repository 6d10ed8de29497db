"""The folder of one run: `runs/<name>-<id>/` with the job, the logs, the metrics and the record."""

import io
import itertools
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from hpcdl.files import write_atomically

if TYPE_CHECKING:
    from hpcdl.job import Job

JOB_FILE = "job.yaml"
FOLDER_VARIABLE = "HPCDL_RUN_FOLDER"
"""Tells the ranks the folder that their launcher has made."""


def make_run_folder(runs: Path, job: "Job", run_id: str | None = None) -> tuple[Path, str]:
    """Make `runs/<name>-<id>/`, write the job into it as it is to be run, and return the folder and the id.

    Args:
        runs: the folder of all runs; made when it is not there.
        run_id: the scheduler's job id; a run without one gets the local time as its id, and a suffix if that is taken.
    Raises:
        OSError: the folder cannot be made or written.
    """
    if run_id:
        chosen = run_id
        (runs / f"{job.name}-{chosen}").mkdir(parents=True, exist_ok=True)  # a requeued job goes on in its folder
    else:
        chosen = make_new(runs, job.name, datetime.now().strftime("%Y%m%d-%H%M%S"))
    folder = runs / f"{job.name}-{chosen}"
    fill_run_folder(folder, job)
    return folder, chosen


def fill_run_folder(folder: Path, job: "Job") -> None:
    """Write the job into its run's folder, as it is to be run; the folder is made where it is not there.

    Raises:
        OSError: it cannot be made or written.
    """
    from ruamel.yaml import YAML

    folder.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    YAML().dump(job.model_dump(mode="json", exclude_none=True), text)
    write_atomically(folder / JOB_FILE, text.getvalue())


def slurm_job_id(environ: Mapping[str, str]) -> str | None:
    """Return the Slurm job of this process as people name it, "123" or "123_4" in an array; None outside of any."""
    array, task = environ.get("SLURM_ARRAY_JOB_ID"), environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else environ.get("SLURM_JOB_ID")


def make_new(runs: Path, name: str, wanted: str) -> str:
    """Make `runs/<name>-<id>/` for the first id of `wanted`, `wanted.2`, ... that is free, and return that id."""
    for attempt in itertools.count(1):
        chosen = wanted if attempt == 1 else f"{wanted}.{attempt}"
        try:
            (runs / f"{name}-{chosen}").mkdir(parents=True)
            return chosen
        except FileExistsError:
            continue
    raise AssertionError("unreachable")
