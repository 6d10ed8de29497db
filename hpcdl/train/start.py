"""The entry of one rank: find the job and the run's folder, keep the record, train."""

import os
import signal
import sys
from pathlib import Path

from hpcdl.errors import HpcdlError, RunError
from hpcdl.job import Job, load_job, parse_changes
from hpcdl.points import choose_point
from hpcdl.run import record
from hpcdl.run.folder import FOLDER_VARIABLE, fill_run_folder, make_run_folder, slurm_job_id
from hpcdl.train.communication import keep_tuned, prepare
from hpcdl.train.trainer import train
from hpcdl.train.world import World, WorldError, world


def start(job_file: Path, changes: list[str], point: int | None, runs: Path) -> None:
    """Train the job of a file on all ranks; each rank calls it.

    Args:
        changes: `--set` options, which replace values of the file.
        point: the point of the job's sweep, None where it has none.
        runs: where a run without a folder gets one.
    """
    job, failure = None, None
    try:
        job = load_job(job_file, choose_point(job_file, parse_changes(changes), point))
        prepare(job.training)  # a job that runs a command instead is refused here
    except HpcdlError as error:
        failure = error
    us = world()
    us.first_failure(failure)
    assert job is not None
    folder = _folder(us, job, job_file, runs)
    written = us.broadcast(record.read(folder)["job_file"] if us.rank == 0 else None)
    sys.path[:0] = [os.getcwd(), str(Path(written).resolve().parent)]  # where a job's own functions are looked for
    try:
        train(job, folder)
    except BaseException as error:
        if isinstance(error, WorldError):
            # All ranks end now, each with the code of the cause. srun and mpirun send SIGTERM to the others when the
            # first one is gone, and a rank that is still taking leave of MPI would end with the signal's code.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if us.rank == 0 or not isinstance(error, WorldError):  # what one rank alone has met ends the others with it
            record.update(folder, status="aborted", reason=str(error) or type(error).__name__)
        raise
    if us.rank == 0:
        if told := keep_tuned(job.training, us.size, folder):
            print(told, flush=True)
        record.update(folder, status="success")


def _folder(us: World, job: Job, job_file: Path, runs: Path) -> Path:
    """Return the run's folder, with its record: the launcher's, the batch script's, else a new one. Collective."""
    folder, failure = None, None
    if us.rank == 0:
        try:
            folder = _open(us, job, job_file, runs)
        except OSError as fault:
            where = os.environ.get(FOLDER_VARIABLE, runs)
            failure = RunError(f"{where}: no folder for the run can be made ({fault.strerror}). Choose one by --runs.")
        except ValueError as fault:
            failure = RunError(f"the run's record is damaged ({fault}). Move it away to start the run's record anew.")
    us.first_failure(failure)
    return Path(us.broadcast(str(folder)))


def _open(us: World, job: Job, job_file: Path, runs: Path) -> Path:
    """Find or make the run's folder and its record, which a run that was requeued goes on with."""
    given, job_id = os.environ.get(FOLDER_VARIABLE), slurm_job_id(os.environ)
    if given:
        folder, run_id = Path(given), job_id or Path(given).name
        if (folder / record.RECORD_FILE).exists():
            if record.read(folder).get("scheduler") != "local":  # there the launcher keeps the record
                record.restart(folder, us.size, sys.argv, job_id)
            return folder
        fill_run_folder(folder, job)
    else:
        folder, run_id = make_run_folder(runs, job, job_id)
    record.create(
        folder,
        **record.of_job(job, job_file, run_id),
        scheduler="slurm" if job_id else "local",
        job_id=job_id,
        ranks=us.size,
        command=sys.argv,
    )
    return folder
