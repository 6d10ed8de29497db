"""The time of one data-parallel step: computing, and the allreduce of the gradients. Formulas alone.

Each result is a bracket, the best and the worst that the model allows, and not one number: how much of an allreduce
hides behind the backward pass, which algorithm the library chooses and how the ranks of a node share the way out of it
decide more than any third digit.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

BACKWARD = 2 / 3
"""The part of a step's computing that is the backward pass: its two products, by the inputs and by the weights, cost as
much each as the one of the forward pass."""


@dataclass(frozen=True)
class Bracket:
    """The least and the most that something can be by the model; for a time the least is the best."""

    least: float
    most: float

    def map(self, function: Callable[[float], float]) -> "Bracket":
        """Return both ends through a function, in order again."""
        least, most = sorted((function(self.least), function(self.most)))
        return Bracket(least, most)


@dataclass(frozen=True)
class Links:
    """What carries the gradients, in bytes and seconds."""

    node_bandwidth: float
    """What one node sends while it receives as much, all its network cards together, in bytes a second."""
    latency_s: Bracket
    """Of one message between two ranks."""
    inner_bandwidth: float | None = None
    """What one rank sends to another of its node while it receives as much, in bytes a second. None where it is not
    known: then it counts as endless at best, and as the network's at worst."""


@dataclass(frozen=True)
class Step:
    """What one rank does in one step."""

    compute_s: float
    """Forward and backward pass and the update of the weights, without communication."""
    gradient_bytes: int
    allreduces: int = 1
    """Into how many the gradients are cut; see `allreduces`."""
    wait_s: float = 0.0
    """The longest time until finished gradients are looked at: Horovod's cycle."""


def allreduces(gradient_bytes: int, buffer_bytes: int) -> int:
    """Return the number of buffers, of Horovod's fusion, that gradients fill."""
    return max(1, math.ceil(gradient_bytes / buffer_bytes))


def allreduce_s(step: Step, nodes: int, ranks_per_node: int, links: Links) -> Bracket:
    """Return the seconds that the allreduces of one step take over all ranks.

    Every algorithm must send and receive 2 (p - 1) / p of the bytes on each of p members (P. Patarasuk, X. Yuan,
    Journal of Parallel and Distributed Computing 69:117, 2009).

    - Most: one ring through all p ranks. All bytes pass the slowest link, and a buffer takes 2 (p - 1) messages one
      after the other. A ring through the nodes in their order leaves each node once: its ranks do not share the cards.
    - Least: nodes reduce inside first, so that the network carries 2 (n - 1) / n of the bytes for n nodes, at the same
      time as the inside of a node its own; 2 log2 p messages, as in Rabenseifner's algorithm (R. Thakur,
      R. Rabenseifner, W. Gropp, International Journal of High Performance Computing Applications 19:49, 2005).
    """
    ranks = nodes * ranks_per_node
    if ranks == 1:
        return Bracket(0.0, 0.0)
    inner = links.inner_bandwidth
    between = _carried(nodes) * step.gradient_bytes / links.node_bandwidth
    inside = _carried(ranks_per_node) * step.gradient_bytes / inner if inner else 0.0
    fewest = 2 * math.ceil(math.log2(ranks)) * step.allreduces
    used = [links.node_bandwidth] if nodes > 1 or not inner else []
    used += [inner] if inner and ranks_per_node > 1 else []
    ring = _carried(ranks) * step.gradient_bytes / min(used)
    return Bracket(
        max(between, inside) + fewest * links.latency_s.least,
        ring + 2 * (ranks - 1) * step.allreduces * links.latency_s.most,
    )


def _carried(members: int) -> float:
    """The part of the bytes that each member of an allreduce sends, and receives."""
    return 2 * (members - 1) / members


def step_s(step: Step, nodes: int, ranks_per_node: int, links: Links) -> Bracket:
    """Return the seconds of one step of all ranks together.

    Least: the allreduce begins with the backward pass and runs beside all of it. Most: it begins when the gradients are
    all there and nothing hides it, after a whole cycle of waiting.
    """
    if nodes * ranks_per_node == 1:
        return Bracket(step.compute_s, step.compute_s)
    communication = allreduce_s(step, nodes, ranks_per_node, links)
    forward = (1 - BACKWARD) * step.compute_s
    return Bracket(
        max(step.compute_s, forward + communication.least), step.compute_s + step.wait_s + communication.most
    )
