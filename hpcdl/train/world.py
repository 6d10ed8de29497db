"""The ranks of this run: who they are, and the checks that they agree. Everything here goes over mpi4py.

Training data moves by Horovod's allreduce; what the ranks say to each other between steps (names, hashes, sums of an
evaluation) goes over a communicator of our own, never over Horovod's, so that the two cannot mix.
"""

import errno
import gc
import os
import socket
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn

from hpcdl.errors import HpcdlError
from hpcdl.exits import Exit
from hpcdl.run.local import RANKS_VARIABLE

LAUNCHER_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")
"""Number of ranks as launchers state it; only read to notice that MPI is missing, never instead of MPI."""
HEARD_S = 1.0
"""Seconds between a rank's last words and the abort of all: mpirun drops what it has not yet read from a rank."""


class WorldError(HpcdlError):
    """The ranks are not those that were asked for, or do not agree."""


class Stopped(WorldError):
    """A signal asked the run to leave; it did, with a checkpoint, on all ranks together."""

    exit_code = Exit.STOPPED


class Diverged(WorldError):
    """The loss is not a finite number any more."""

    exit_code = Exit.DIVERGED


class DiskError(WorldError):
    """What the run needs on the disk cannot be written."""

    exit_code = Exit.DISK


@dataclass(frozen=True)
class World:
    """The ranks of one run, seen from one of them. One process without MPI is a world of size 1."""

    rank: int
    size: int
    local_rank: int
    """This rank among those on the same host, from 0."""
    local_size: int
    """The number of ranks on this host."""
    host: str
    communicator: Any = None
    """Our own mpi4py communicator, None in a world without MPI."""
    node: Any = None
    """An mpi4py communicator of the ranks on this host, in order of local_rank; None in a world without MPI."""

    def allgather(self, value: Any) -> list[Any]:
        """Return the `value` of every rank, in order of the ranks. All ranks must call it."""
        return self.communicator.allgather(value) if self.communicator else [value]

    def broadcast(self, value: Any) -> Any:
        """Return rank 0's `value` on every rank. All ranks must call it."""
        return self.communicator.bcast(value, root=0) if self.communicator else value

    def agree(self, what: str, value: Any, remedy: str) -> None:
        """Check that `value` is the same on every rank; all ranks must call it, and all raise when one differs.

        Args:
            what: what the value is, for the message: "data checksum".
            value: anything with `==` and a text.
            remedy: what to do about a difference, a sentence.

        Raises:
            WorldError: names the first rank that differs from most, its host and its value, and what most have.
        """
        everyone = self.allgather((self.host, value))
        usual, _ = Counter(repr(theirs) for _, theirs in everyone).most_common(1)[0]
        odd = [(rank, host, theirs) for rank, (host, theirs) in enumerate(everyone) if repr(theirs) != usual]
        if odd:
            rank, host, theirs = odd[0]
            others = f" ({len(odd)} of {self.size} ranks differ)" if len(odd) > 1 else ""
            raise WorldError(
                f"{what} differs: rank {rank} on {host} has {theirs!r}, most ranks have {usual}{others}. {remedy}"
            )

    def first_failure(self, error: HpcdlError | None) -> None:
        """Raise the same error on every rank if any of them has one; all ranks must call it.

        For work that each rank does alone and that may fail on some of them, such as reading files.
        """
        failures = self.allgather(error and (self.host, str(error), error.exit_code))
        for rank, failure in enumerate(failures):
            if failure:
                host, text, exit_code = failure
                everywhere = WorldError(text if self.size == 1 else f"rank {rank} on {host}: {text}")
                everywhere.exit_code = exit_code
                raise everywhere

    def abort(self, exit_code: int) -> NoReturn:
        """End every rank at once: the others may be waiting for this one in an allreduce, and would for ever."""
        sys.stdout.flush()
        sys.stderr.flush()
        if self.size > 1:
            time.sleep(HEARD_S)
            self.communicator.Abort(exit_code)
        os._exit(exit_code)


@cache
def world() -> World:
    """Start MPI and Horovod in this process and return the world; later calls return the same one.

    Raises:
        WorldError: the number of ranks is not the one asked for (HPCDL_RANKS, else SLURM_NTASKS in a Slurm job), the
            ranks of Horovod and MPI differ, or MPI is too weak for Horovod beside mpi4py.
    """
    host = socket.gethostname()
    try:
        import horovod.tensorflow as hvd
    except ImportError as fault:
        _check_size(1, f"Horovod cannot be imported here ({fault}); `hpcdl doctor` says what is wrong")
        return World(rank=0, size=1, local_rank=0, local_size=1, host=host)
    from mpi4py import MPI  # starts MPI with MPI_THREAD_MULTIPLE, before Horovod finds it started

    _same_settings(MPI.COMM_WORLD)
    hvd.init()
    if hvd.size() != MPI.COMM_WORLD.size:
        raise WorldError(
            f"Horovod counts {hvd.size()} ranks and mpi4py {MPI.COMM_WORLD.size}: they use two different MPI "
            "libraries. Build both with one (envs/setup.sh does); `hpcdl doctor` shows which they are."
        )
    if hvd.size() > 1 and MPI.Query_thread() < MPI.THREAD_MULTIPLE:
        raise WorldError(
            "this MPI was started without MPI_THREAD_MULTIPLE, which Horovod needs beside mpi4py. "
            "Load an MPI that is built with it; `hpcdl doctor` shows the level."
        )
    _check_size(hvd.size(), "every process would train alone. Start them with `srun --mpi=pmix` or with mpirun")
    communicator = MPI.COMM_WORLD.Dup()
    node = communicator.Split_type(MPI.COMM_TYPE_SHARED, key=hvd.rank())
    return World(hvd.rank(), hvd.size(), hvd.local_rank(), hvd.local_size(), host, communicator, node)


def asked_size(environment: dict[str, str] | None = None) -> tuple[int, str] | None:
    """Return the number of ranks that was asked for and the variable that says so, None where nothing says it."""
    environment = dict(os.environ) if environment is None else environment
    for variable in (RANKS_VARIABLE, "SLURM_NTASKS", *LAUNCHER_SIZES):
        if environment.get(variable, "").isdigit():
            return int(environment[variable]), variable
    return None


def run_and_exit(function: Any, *arguments: Any) -> NoReturn:
    """Call `function` on this rank and leave the process; no failure leaves another rank waiting.

    An HpcdlError that all ranks raise is printed once; anything that one rank raises ends all of them. The exit codes
    are those of `hpcdl.exits.Exit`.
    """
    try:
        function(*arguments)
    except WorldError as error:  # raised by all ranks together, or before there are others to wait
        everyone = world.cache_info().currsize > 0
        if not everyone or world().rank == 0:
            print(f"error: {error}", file=sys.stderr)
        _leave(error.exit_code)
    except BaseException as error:
        if not world.cache_info().currsize:
            raise
        us = world()
        if isinstance(error, HpcdlError):
            print(f"error: rank {us.rank} on {us.host}: {error}", file=sys.stderr)
            us.abort(error.exit_code)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            where = f": {error.filename}" if error.filename else ""
            print(
                f"error: rank {us.rank} on {us.host}: {error.strerror}{where}. Make room, then resume.", file=sys.stderr
            )
            us.abort(Exit.DISK)
        print(f"error: rank {us.rank} on {us.host} failed; all ranks are stopped.", file=sys.stderr)
        traceback.print_exception(error)
        us.abort(Exit.FAILED)
    _leave(0)


def _leave(exit_code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    gc.freeze()  # Python's last collection would walk all of TensorFlow's objects: a second for every rank
    sys.exit(exit_code)


def _same_settings(communicator: Any) -> None:
    """Give rank 0's settings of Horovod to all ranks, which must fuse the same tensors."""
    names = ("FUSION_THRESHOLD", "CYCLE_TIME", "AUTOTUNE", "CACHE_CAPACITY")
    for name, value in communicator.bcast([(name, os.environ.get(f"HOROVOD_{name}")) for name in names]):
        if value is None:
            os.environ.pop(f"HOROVOD_{name}", None)
        else:
            os.environ[f"HOROVOD_{name}"] = value


def _check_size(size: int, consequence: str) -> None:
    asked = asked_size()
    if asked and asked[0] != size:
        raise WorldError(
            f"{asked[0]} ranks were asked for ({asked[1]}={asked[0]}), but there are {size}: {consequence}."
        )
