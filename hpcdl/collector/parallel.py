"""Many runs read by several processes: on one machine, or over the nodes of an allocation with MPI."""

import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from hpcdl.collector.reading import Reading, Run, RunReader
from hpcdl.errors import CollectError

if TYPE_CHECKING:
    from concurrent.futures import Executor

BATCH_RUNS = 64
BATCH_BYTES = 8 << 20
"""What a process is given at a time: so many runs, or so many bytes."""
WORTH_RUNS = 500
WORTH_BYTES = 100 << 20
"""Fewer are read by one process as fast as others start."""


def usable_cores() -> int:
    """Return the number of cores that this process may use; under Slurm those of its step."""
    return len(os.sched_getaffinity(0))


def read_all(
    runs: Sequence[Run],
    sizes: Sequence[int],
    dialects: Sequence[Path | str] = (),
    jobs: int = 1,
    executor: "Executor | None" = None,
) -> Iterator[Reading]:
    """Yield what each run gives, in their order.

    Args:
        runs: the runs.
        sizes: bytes of each.
        dialects: YAML files of the user's own patterns.
        jobs: processes to read with; 1 reads in this one, as does little to read.
        executor: reads instead of processes of our own, such as `over_ranks` gives.

    Raises:
        CollectError: a dialect is wrong, or a process was killed.
    """
    reader = RunReader(dialects)
    little = len(runs) < WORTH_RUNS and sum(sizes) < WORTH_BYTES
    if executor is None and (jobs == 1 or len(runs) == 1 or little):
        yield from map(reader.read, runs)
        return
    work = partial(_read_batch, tuple(str(path) for path in dialects))
    batches = _batches(runs, sizes)
    if executor:
        for readings in executor.map(work, batches):
            yield from readings
        return
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    import hpcdl.collector.runfolder  # noqa: F401 - by fork, a process has all that is loaded here

    # An interrupt ends it without a word: ours is the one to speak.
    with ProcessPoolExecutor(
        min(jobs, len(batches)), get_context("fork"), signal.signal, (signal.SIGINT, signal.SIG_DFL)
    ) as pool:
        try:
            for readings in pool.map(work, batches):
                yield from readings
        except BrokenProcessPool:
            raise CollectError(
                "a process that read logs was killed, maybe for want of memory; --jobs 1 reads in one process."
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def over_ranks() -> "Iterator[Executor | None]":
    """Give rank 0 an executor whose work is done by the other MPI ranks.

    On the other ranks it works until rank 0 leaves its context, and then gives None.

    Raises:
        CollectError: mpi4py is not installed, or there is one rank only.
    """
    try:
        from mpi4py import MPI
        from mpi4py.futures import MPICommExecutor
    except ImportError as error:
        raise CollectError(f"--mpi needs mpi4py, which cannot be imported ({error}); pip install mpi4py.") from None
    if MPI.COMM_WORLD.Get_size() < 2:
        raise CollectError(
            "--mpi: there is one MPI rank only; start several, as in `srun -n 8 hpcdl collect --mpi ...`."
        )
    with MPICommExecutor(MPI.COMM_WORLD, root=0) as executor:
        yield cast("Executor | None", executor)  # mpi4py's own types say less


def _batches(runs: Sequence[Run], sizes: Iterable[int]) -> list[list[Run]]:
    """Return the runs in batches, in their order."""
    batches: list[list[Run]] = []
    held = 0
    for run, size in zip(runs, sizes, strict=True):
        if not batches or held >= BATCH_BYTES or len(batches[-1]) >= BATCH_RUNS:
            batches.append([])
            held = 0
        batches[-1].append(run)
        held += size
    return batches


@cache
def _reader(dialects: tuple[str, ...]) -> RunReader:
    """Return the reader of this process: a dialect's slow pattern is set aside once."""
    return RunReader(dialects)


def _read_batch(dialects: tuple[str, ...], runs: Sequence[Run]) -> list[Reading]:
    reader = _reader(dialects)
    return [reader.read(run) for run in runs]
