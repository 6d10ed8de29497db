"""Dependencies between jobs, with the folders of runs in place of job ids."""

import re
from collections.abc import Sequence
from pathlib import Path

from hpcdl.errors import HpcdlError
from hpcdl.run.states import FINAL, State
from hpcdl.run.submission import last_submission
from hpcdl.slurm.client import Slurm

KINDS = ("after", "afterany", "afterok", "afternotok", "aftercorr", "afterburstbuffer", "singleton")
"""sbatch's kinds of dependency (https://slurm.schedmd.com/sbatch.html, --dependency)."""


def check_dependency(words: Sequence[str], slurm: Slurm) -> tuple[str, list[str]]:
    """Return --dependency with job ids in place of run folders, and warnings about what can never be satisfied.

    Args:
        words: such as `afterok:runs/mnist-20261120-203200`, `afterany:123:124`, `singleton`.

    Raises:
        HpcdlError: a folder holds no submitted run, or a word is no dependency.
    """
    parts, warnings, successes = [], [], []
    for word in words:
        kind, *names = word.split(":")
        if kind not in KINDS or (kind != "singleton") != bool(names):
            raise HpcdlError(
                f"--dependency {word}: write KIND:JOB, with a job id or a run's folder; {', '.join(KINDS)}."
            )
        ids = [name if re.match(r"\d+(_\d+)?(\+\d+)?$", name) else _job_id_of(Path(name)) for name in names]
        parts.append(":".join([kind, *ids]))
        successes += ids if kind == "afterok" else []
    for job_id, job in (slurm.queue(successes) or {}).items():
        if FINAL.get(job.state, State.COMPLETED) is not State.COMPLETED:
            warnings.append(f"job {job_id} has ended as {job.state}: afterok will never be satisfied")
    return ",".join(parts), warnings


def _job_id_of(folder: Path) -> str:
    _, job_id = last_submission(folder.absolute())
    if job_id is None:
        raise HpcdlError(f"--dependency: {folder} is neither a job id nor the folder of a submitted run.")
    return job_id
