"""The training data of a job: are they where the job will look for them?"""

from collections.abc import Iterator

from hpcdl.errors import DataError
from hpcdl.job import Job
from hpcdl.site import Site
from hpcdl.slurm.preflight.problem import Problem


def check_data(job: Job, site: Site) -> Iterator[Problem]:
    """Yield what is wrong with the data set that a job names; asked on this machine, whose folders the nodes share.

    Absent data stop nothing by themselves: HPCDL_DATA may be set for the job alone. An unknown name does.
    """
    from hpcdl.train.data import SOURCES, is_here  # NumPy, which no other check needs
    from hpcdl.train.data.weights import find_weights

    if job.train is None:
        return
    if job.train.transfer:
        try:
            find_weights(job.train.transfer.weights)
        except DataError as error:
            yield Problem("data", str(error).rstrip("."), "have them there before the job starts", stops=False)
    try:
        here = is_here(job.train.data)
    except DataError as error:
        yield Problem("data", str(error).rstrip("."), "correct the job file")
        return
    if here:
        return
    what = f"the data set {job.train.data.name} is not on this machine"
    if site.nodes.internet == "no":
        what += f", and the compute nodes of {site.name} have no internet to fetch it"
    fetch = f"hpcdl fetch {job.train.data.name}, or " if SOURCES[job.train.data.name].fetch else ""
    yield Problem("data", what, f"{fetch}set HPCDL_DATA to where it is", stops=False)
