"""One run out of a job with a sweep: all points checked before the queue, one chosen by each task of the array."""

from pathlib import Path
from typing import Any

from hpcdl.errors import JobFileError
from hpcdl.job import load_job
from hpcdl.sweep import Point


def load_points(path: Path | str, overrides: dict[str, Any] | None = None) -> list[Point]:
    """Read the points of a job's sweep and check that each makes a good job.

    Raises:
        JobFileError: the job has no sweep, or a search, or a fault in it or in one of its points.
    """
    job = load_job(path, overrides)
    job.check_no_search()
    if job.sweep is None:
        raise JobFileError(f"{path}: the job has no `sweep:` section, so it has no points.")
    points = job.sweep.all_points()
    if job.command:
        return points  # variables of the command; what they mean only the command knows
    for number, point in enumerate(points):
        try:
            load_job(path, {**(overrides or {}), **point, "sweep": None})
        except JobFileError as fault:
            raise JobFileError(f"point {number} ({point}): {fault}") from None
    return points


def choose_point(path: Path | str, overrides: dict[str, Any], number: int | None) -> dict[str, Any]:
    """Return the overrides that make one training of a job: `overrides`, and those of a point where it has a sweep.

    Raises:
        JobFileError: the job has a sweep and no point is chosen, or it has no such point; or it has a search.
    """
    job = load_job(path, overrides)
    job.check_no_search()
    sweep = job.sweep
    if sweep is None and number is None:
        return overrides
    num_points = len(sweep.all_points()) if sweep else 0
    if sweep is None or number is None or not 0 <= number < num_points:
        wrong = f"has the points 0 to {num_points - 1}; choose one by" if sweep else "has no sweep; leave out"
        raise JobFileError(f"{path}: the job {wrong} --point.")
    return {**overrides, **sweep.all_points()[number], "sweep": None}
