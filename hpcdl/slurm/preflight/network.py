"""A job's own network: is its module where the ranks will look for it?"""

import os
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path

from hpcdl.job import Job
from hpcdl.slurm.preflight.problem import Problem


def check_network(job: Job, job_file: Path) -> Iterator[Problem]:
    """Yield what is wrong with the place of a user's own network; nothing of the module is run.

    It is looked for in the working folder, beside the job file and among the packages of this Python, as a rank does.
    The job may have another Python than this one, so a package that is not found stops nothing.
    """
    module = job.train.model.name.partition(":")[0] if job.train and ":" in job.train.model.name else None
    if module is None:
        return
    folders = [os.getcwd(), str(job_file.resolve().parent)]
    if PathFinder.find_spec(module.partition(".")[0], folders) or PathFinder.find_spec(module.partition(".")[0]):
        return
    places = " or ".join(dict.fromkeys(folders))
    yield Problem(
        "script",
        f"train.model: there is no module {module} in {places}, nor among the packages of this Python",
        "put the module beside the job file, or install it where the job runs",
        stops=False,
    )
