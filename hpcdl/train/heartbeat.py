"""Noticing a rank that does not answer any more: a node that hangs, a process that was stopped, a link that is gone.

Such a rank leaves the others waiting in an allreduce for ever; Horovod's own check of stalled ranks waits with them, as
its coordinator asks all ranks in turn. So a thread on every rank sends rank 0 a sign of life, and rank 0 sends one to
all. They go over a communicator of their own, beside what the training says.
"""

import os
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpcdl.exits import Exit
from hpcdl.run import record
from hpcdl.train.world import World

BEAT_S = 2.0
"""Seconds between two signs of life."""
SILENT_S = 30.0
"""Seconds without one after which a rank counts as lost and the run is ended."""
LATE_S = 30.0
"""Seconds for which a rank may keep the others waiting before it is named; the run goes on."""
HANG_S = 10.0
"""Seconds after which a rank that has found another lost leaves, whether MPI has ended the job or not."""

WAITING_FOR_ALL = "training"
"""What a rank does in a block of steps: from the first allreduce on it waits for the slowest."""
ENDED = "done"
"""The last sign of a rank, after which nothing is expected of it."""


@dataclass(frozen=True)
class Sign:
    """What a rank says of itself."""

    rank: int
    host: str
    step: int
    doing: str
    for_s: float
    """Seconds for which it has been doing this."""


@dataclass
class Watch:
    """What one rank knows of others, by its own clock; no thread and no message in here."""

    ranks: dict[int, str]
    """The ranks to be heard, and their hosts."""
    heard: dict[int, float] = field(default_factory=dict)
    signs: dict[int, Sign] = field(default_factory=dict)
    looked: float | None = None
    named: set[tuple[int, int]] = field(default_factory=set)

    def hear(self, sign: Sign, now: float) -> None:
        self.heard[sign.rank], self.signs[sign.rank] = now, sign
        if sign.doing == ENDED:
            self.ranks.pop(sign.rank, None)

    def silent(self, now: float) -> str | None:
        """Name the ranks that have been silent for too long, None when there is none.

        Who has not looked for a while (the whole job was suspended) has heard nothing and blames nobody for it.
        """
        if self.looked is None or now - self.looked > SILENT_S / 3:
            self.heard = dict.fromkeys(self.ranks, now)
        self.looked = now
        lost = [rank for rank in self.ranks if now - self.heard[rank] > SILENT_S]
        if not lost:
            return None
        rank, more = lost[0], f" and {len(lost) - 1} more ranks have" if len(lost) > 1 else " has"
        last = (
            f" Its last word: {self.signs[rank].doing} in step {self.signs[rank].step}." if rank in self.signs else ""
        )
        return f"rank {rank} on {self.ranks[rank]}{more} not answered for {SILENT_S:.0f} s.{last}"

    def late(self) -> str | None:
        """Name, once for each step, a rank for whose work all the others have been waiting."""
        signs = list(self.signs.values())
        waiting = [sign for sign in signs if sign.doing == WAITING_FOR_ALL and sign.for_s > LATE_S]
        working = [sign for sign in signs if sign.doing != WAITING_FOR_ALL and sign.for_s > LATE_S]
        if not working or len(waiting) + len(working) < len(self.ranks):
            return None
        late = max(working, key=lambda sign: sign.for_s)
        if (late.rank, late.step) in self.named:
            return None
        self.named.add((late.rank, late.step))
        return (
            f"rank {late.rank} on {late.host} has been {late.doing} for step {late.step} for {late.for_s:.0f} s; "
            "the others wait."
        )


class Heartbeat:
    """The thread; as a context it ends with the training."""

    def __init__(self, us: World, folder: Path):
        self._us, self._folder = us, folder
        self._state = (0, "starting", time.monotonic())
        self._ended = threading.Event()
        self._sent: list[Any] = []
        if us.size > 1:
            self._communicator = us.communicator.Dup()
            hosts = us.allgather(us.host)
            self._watch = Watch({rank: hosts[rank] for rank in (range(us.size) if us.rank == 0 else [0])})
            self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        if self._us.size > 1:
            self._thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._ended.set()
        if self._us.size > 1:
            self._thread.join()
            self.doing(self._state[0], ENDED)
            self._say(time.monotonic())

    def doing(self, step: int, what: str) -> None:
        """Note what this rank does from now on."""
        self._state = (step, what, time.monotonic())

    def _run(self) -> None:
        while not self._ended.wait(BEAT_S):
            self._beat()

    def _beat(self) -> None:
        from mpi4py import MPI

        now, status = time.monotonic(), MPI.Status()
        mine = self._say(now)
        while self._communicator.Iprobe(MPI.ANY_SOURCE, MPI.ANY_TAG, status):
            self._watch.hear(self._communicator.recv(source=status.source, tag=status.tag), now)
        if mine.rank == 0:
            self._watch.hear(mine, now)
            if late := self._watch.late():
                print(f"warning: {late}", file=sys.stderr, flush=True)
        if lost := self._watch.silent(now):
            self._end(lost)

    def _say(self, now: float) -> Sign:
        """Send a sign of this rank to those that watch it; nobody waits for its arrival."""
        step, what, since = self._state
        sign = Sign(self._us.rank, self._us.host, step, what, now - since)
        self._sent = [request for request in self._sent if not request.Test()]
        others = range(1, self._us.size) if sign.rank == 0 else [0]
        self._sent += [self._communicator.isend(sign, dest=rank) for rank in others]
        return sign

    def _end(self, lost: str) -> None:
        reason = f"{lost} All ranks are stopped; look at that node, then go on from the checkpoint."
        print(f"error: {reason}", file=sys.stderr, flush=True)
        threading.Timer(HANG_S, os._exit, [Exit.RANK_LOST]).start()  # should MPI itself hang
        record.update(self._folder, status="aborted", reason=reason)
        self._us.abort(Exit.RANK_LOST)
