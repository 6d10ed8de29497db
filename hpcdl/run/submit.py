"""From a job to a run folder that the scheduler may have, and from there to a job in its queue."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hpcdl
from hpcdl import script
from hpcdl.errors import HpcdlError, RunError
from hpcdl.files import write_atomically
from hpcdl.job import Job, load_job
from hpcdl.run import record
from hpcdl.run.folder import JOB_FILE, fill_run_folder, make_run_folder
from hpcdl.run.submission import Submission, last_submission, read_submissions, set_job, write_submissions
from hpcdl.settings import Settings
from hpcdl.site import Site
from hpcdl.slurm.client import Slurm, SlurmError, SlurmUnanswered, clean_environment
from hpcdl.sweep import Point

SCRIPT_FILE = "job.sbatch"
SITE_FOLDER = "site"
"""Holds the site's profile as it was, under its own name, so that `--site RUN/site/NAME.yaml` takes it."""
DIFF_FILE = "git.diff"


@dataclass(frozen=True)
class Prepared:
    """A run that is ready to be submitted."""

    folder: Path
    script: Path
    text: str
    """The script's."""


def prepare(
    job: Job, job_file: Path, site: Site, site_file: Path, settings: Settings, runs: Path, dependency: str | None = None
) -> Prepared:
    """Make the folder of a new run: job, script, profile, record; of a sweep also a run folder for each point.

    Args:
        job_file: where the job was read, for the record.
        dependency: sbatch's --dependency of this submission alone.

    Raises:
        HpcdlError: the site cannot run the job, or the folder cannot be made.
    """
    try:
        folder, run_id = make_run_folder(runs.absolute(), job)
    except OSError as fault:
        raise RunError(f"{runs}: no run's folder can be made ({fault.strerror}). Choose one by --runs.") from None
    return prepare_in(folder, run_id, job, job_file, site, site_file, settings, dependency)


def prepare_in(
    folder: Path,
    run_id: str,
    job: Job,
    job_file: Path,
    site: Site,
    site_file: Path,
    settings: Settings,
    dependency: str | None = None,
    queue: Path | None = None,
    through: Sequence[str] = (),
) -> Prepared:
    """Add to a run's folder, absolute, which has its job.yaml, what `prepare` says; if that fails it is removed.

    Args:
        run_id: the run's id in its record.
        queue, through: as in `script.render`.

    Raises:
        HpcdlError: the site cannot run the job, or the folder cannot be written.
    """
    try:
        asked = job.model_copy(update={"slurm": {**job.slurm, "dependency": dependency}}) if dependency else job
        text = script.render(asked, str(folder / JOB_FILE), site, settings, folder=folder, queue=queue, through=through)
        path = folder / SCRIPT_FILE
        write_atomically(path, text)
        profile = site_file.read_bytes()
        (folder / SITE_FOLDER).mkdir()
        write_atomically(folder / SITE_FOLDER / f"{site.name}.yaml", profile)
        common = _common(site, profile, settings, folder)
        if difference := record.git_diff():
            write_atomically(folder / DIFF_FILE, difference)
        whole = {**common, **record.of_job(job, job_file, run_id), "ranks": job.ranks}
        record.create(folder, record.ARRAY_FILE if job.sweep else record.RECORD_FILE, **whole)
        for index, values in enumerate(job.sweep.all_points() if job.sweep else []):
            point = _at(job, values, folder)
            fill_run_folder(folder / str(index), point)
            record.create(folder / str(index), **{**whole, **record.of_job(point, job_file, f"{run_id}_{index}")})
    except BaseException as fault:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(fault, OSError):
            raise RunError(f"{folder}: cannot be written ({fault.strerror}). Choose another by --runs.") from None
        raise
    return Prepared(folder, path, text)


def submit(prepared: Prepared, site: Site, slurm: Slurm, options: Sequence[str] = ()) -> Submission:
    """Give a new run to the scheduler. If it is refused, nothing is left of the run.

    Args:
        options: of sbatch, beside those in the script.

    Raises:
        SlurmUnanswered: nobody knows whether it was taken; the folder stays, and `hpcdl status` looks for the job.
        SlurmError: it was not taken.
    """
    try:
        return _give(prepared.folder, prepared.script, list(options), site, slurm)
    except SlurmUnanswered:
        raise
    except SlurmError:  # nothing else: after Ctrl-C, say, there may be a job
        shutil.rmtree(prepared.folder, ignore_errors=True)
        raise


def submit_again(
    folder: Path,
    indices: list[int] | None,
    throttle: int | None,
    site: Site,
    slurm: Slurm,
    options: Sequence[str] = (),
) -> Submission:
    """Submit a run, or some tasks of an array, again into the same folder, where they go on from their checkpoints.

    Args:
        folder: of the run or the array.
        indices: the tasks of the array; None for a run that is no array.
        throttle: how many tasks may run at the same time.
        options: of sbatch, beside those in the script.

    Raises:
        SlurmError: it was not taken, or nobody knows.
    """
    number = len(read_submissions(folder)) + 1
    path = folder / f"job.{number}.sbatch"
    try:
        write_atomically(path, (folder / SCRIPT_FILE).read_bytes())  # a path of its own tells its job from the others
    except OSError as fault:
        raise RunError(f"{folder}: the script cannot be copied ({fault.strerror}).") from None
    tasks = []
    if indices is not None:
        listed = ",".join(map(str, indices))
        tasks = [f"--array={listed}%{throttle}" if throttle else f"--array={listed}"]
    return _give(folder, path, [*tasks, *options], site, slurm, indices)


def _give(
    folder: Path, path: Path, options: list[str], site: Site, slurm: Slurm, indices: list[int] | None = None
) -> Submission:
    """Write down the attempt, submit, write down the answer: a death between the two leaves a trace to find it by."""
    before = read_submissions(folder)
    named = re.search(r"^#SBATCH --clusters?=(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    cluster = named[1] if named else None
    write_submissions(folder, [*before, Submission(str(path), record.now(), indices, cluster=cluster)])
    try:
        if site.scheduler == "pbs":
            job_id = _qsub(path)
        else:
            answer = slurm.submit(path, options, cluster)
            job_id, cluster = answer.job_id, answer.cluster or cluster
    except SlurmUnanswered as fault:
        raise SlurmUnanswered(
            f"{fault} It is not known whether there is a job now: hpcdl status {folder} looks for it, and tells."
        ) from None
    except SlurmError:
        write_submissions(folder, before)
        raise
    try:
        set_job(folder, str(path), job_id, cluster)
    except OSError as fault:
        raise RunError(f"{folder}: job {job_id} is submitted, but cannot be written down ({fault.strerror}).") from None
    submission, _ = last_submission(folder)
    assert submission
    return submission


def _qsub(path: Path) -> str:
    program = shutil.which("qsub")
    if program is None:
        raise SlurmError(
            "this site takes jobs through qsub, which is not on the PATH of this machine. Submit from its login node."
        )
    environment, _ = clean_environment(os.environ)
    done = subprocess.run(
        [program, str(path)], cwd=path.parent, env=environment, capture_output=True, text=True, check=False
    )
    match = re.search(r"^\s*(\d+)(?:\.\S+)?\s*$", done.stdout, re.MULTILINE)  # NUMBER.SERVER
    if done.returncode or not match:
        said = (done.stderr or done.stdout).strip().split("\n")[-1]
        raise SlurmError(f"qsub refused the job: {said or f'exit code {done.returncode}'}.")
    return match[1]


def _at(job: Job, values: Point, folder: Path) -> Job:
    """Return the job of one point: a training with its values, or a command with its variables."""
    if job.command is None:
        return load_job(folder / JOB_FILE, {**values, "sweep": None})
    variables = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in values.items()}
    command = [re.sub(r"\{(\w+)\}", lambda word: variables.get(word[1], word[0]), text) for text in job.command]
    return job.model_copy(update={"sweep": None, "command": command, "env": {**job.env, **variables}})


def _common(site: Site, profile: bytes, settings: Settings, folder: Path) -> dict[str, Any]:
    """The fields of the record that are not the job's."""
    _, dropped = clean_environment(os.environ)
    loaded = os.environ.get("LOADEDMODULES", "")
    return {
        "scheduler": site.scheduler,
        "status": "submitted",
        "started": None,
        "pid": None,
        "host": None,
        "submitted": {
            "hpcdl": hpcdl.__version__,
            "python": sys.version.split()[0],
            "site": site.name,
            "site_digest": hashlib.sha256(profile).hexdigest(),
            "modules": [*site.modules.load, *settings.modules_at(site.name)],
            "loaded_modules": [name for name in loaded.split(":") if name],
            "dropped_variables": dropped,
            "folder": os.getcwd(),
        },
    }


def differences(known: dict[str, Any], profile: bytes | None) -> list[str]:
    """Return, in a sentence each, what is not as it was when a run was made: git commit, hpcdl, the site's profile.

    Args:
        known: the run's record.
        profile: the site's profile as it is now; None where another site was asked for.
    """
    then, now = known.get("git") or {}, record.git_state() or {}
    submitted = known.get("submitted") or {}
    told = []
    if then.get("commit") != now.get("commit"):
        told.append(f"the git commit was {then.get('commit') or 'none'}, it is {now.get('commit') or 'none'}")
    if then.get("dirty"):
        told.append(f"the working tree had changes that were in no commit ({DIFF_FILE} in its folder)")
    if now.get("dirty"):
        told.append("the working tree has changes that are in no commit")
    if submitted.get("hpcdl") not in (None, hpcdl.__version__):
        told.append(f"hpcdl was {submitted['hpcdl']}, it is {hpcdl.__version__}")
    if profile is not None and submitted.get("site_digest") not in (None, hashlib.sha256(profile).hexdigest()):
        told.append(f"the profile of site {submitted['site']} has changed (the old one: {SITE_FOLDER}/ in its folder)")
    return told


def job_of(folder: Path) -> Job:
    """Return the job of a run or an array, from its folder.

    Raises:
        HpcdlError: there is none, or this version takes it for none.
    """
    if not (folder / JOB_FILE).is_file():
        raise HpcdlError(f"{folder}: holds no run (no {JOB_FILE}). Give a folder of runs/.")
    return load_job(folder / JOB_FILE)
