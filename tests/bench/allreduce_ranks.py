"""One rank of tests/bench/allreduce.py: times allreduces of several sizes, by mpi4py or on the path of hpcdl's trainer.

    mpirun -n 2 python tests/bench/allreduce_ranks.py mpi|hpcdl BYTES...

Rank 0 prints a JSON object: for each size the seconds of each allreduce, of the rank that took longest.
"""

import json
import sys
import time
from collections.abc import Callable

import numpy as np

from hpcdl.train.quiet import without_notices

WARM_UP = 3
LEAST, MOST = 5, 40
"""Allreduces that are timed: as many as fit into SECONDS, between these."""
SECONDS = 0.3
FLOAT_BYTES = 4


def by_mpi(count: int) -> Callable[[], object]:
    """Return an allreduce of so many float32 values in place by MPI alone."""
    from mpi4py import MPI

    values = np.ones(count, np.float32)
    return lambda: MPI.COMM_WORLD.Allreduce(MPI.IN_PLACE, values)


def by_hpcdl(count: int) -> Callable[[], object]:
    """Return an allreduce as a training step makes it: one gradient, inside a tf.function, through Horovod."""
    import tensorflow as tf

    from hpcdl.train.horovod import allreduce_gradients
    from hpcdl.train.world import world

    world()
    gradient = tf.ones(count)
    step = tf.function(lambda: allreduce_gradients([gradient])[0][:1])
    return lambda: step().numpy()


def timed(reduce: Callable[[], object]) -> list[float]:
    """Return the seconds of each allreduce; all ranks begin together and make as many."""
    from mpi4py import MPI

    everyone = MPI.COMM_WORLD

    def once() -> float:
        everyone.Barrier()
        began = time.perf_counter()
        reduce()
        return everyone.allreduce(time.perf_counter() - began, MPI.MAX)

    for _ in range(WARM_UP):
        last = once()
    return [once() for _ in range(int(min(MOST, max(LEAST, SECONDS / last))))]


def main() -> None:
    kind, *sizes = sys.argv[1:]
    make = {"mpi": by_mpi, "hpcdl": by_hpcdl}[kind]
    with without_notices():
        make(1)  # Horovod starts before MPI is used for anything else
        from mpi4py import MPI

        taken = {size: timed(make(int(size) // FLOAT_BYTES)) for size in sizes}
    if MPI.COMM_WORLD.rank == 0:
        print(json.dumps(taken), flush=True)


if __name__ == "__main__":
    main()
