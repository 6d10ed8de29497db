"""The picture of a search: fitness by generation, and from which individuals each one came."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpcdl.report.plots import COLORS, GRID, HEIGHT, INK, WIDTH, saved

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BEST_COLOR, OTHER_COLOR, FAILED_COLOR = COLORS[1], COLORS[0], "#767c83"
SPREAD = 0.4
"""The part of the distance between two generations over which the individuals of one are spread."""
MOST_NUMBERED = 24
"""Where there are more individuals their numbers do not stand beside them."""
NAME = "lineage"


@dataclass(frozen=True)
class Node:
    """One individual."""

    number: int
    generation: int
    """From 1."""
    fitness: float | None
    """None of one that failed: it is drawn below the others."""
    parents: tuple[int, ...] = ()


def lineage_files(nodes: Sequence[Node], y_label: str, maximizes: bool) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the picture as PNG, SVG and PDF; the same individuals give the same bytes.

    Raises:
        CollectError: matplotlib is not installed.
    """
    return saved(NAME, lambda: lineage(nodes, y_label, maximizes))


def lineage(nodes: Sequence[Node], y_label: str, maximizes: bool) -> "Figure":
    """Return a point for each individual, lines to its parents (those of the best one thick), best and mean."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    made = Figure(figsize=(1.3 * WIDTH, 1.3 * HEIGHT), layout="constrained")
    axes = made.add_subplot()
    places = _places(nodes, maximizes)
    family = ancestry(nodes, maximizes)
    for node in nodes:
        for parent in node.parents:
            close = {node.number, parent} <= family
            (line,) = axes.plot(*zip(places[parent], places[node.number], strict=True), zorder=2 + close)
            line.set(color=BEST_COLOR if close else GRID, linewidth=1.2 if close else 0.7)
    for node in nodes:
        (point,) = axes.plot(*places[node.number], marker="x" if node.fitness is None else "o", zorder=4)
        color = BEST_COLOR if node.number in family else OTHER_COLOR
        point.set(color=FAILED_COLOR if node.fitness is None else color, markersize=5)
        if len(nodes) <= MOST_NUMBERED:
            beside: dict[str, Any] = {"xytext": (5, 3), "textcoords": "offset points", "fontsize": "x-small"}
            axes.annotate(str(node.number), places[node.number], color=INK, zorder=5, **beside)
    for points, style in ((best_so_far(nodes, maximizes), "--"), (means(nodes), ":")):
        if points:
            axes.plot(*zip(*points, strict=True), color=INK, linewidth=1, linestyle=style, zorder=1)
    axes.set_xlabel("generation", color=INK)
    axes.set_ylabel(y_label, color=INK, parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK)
    handles = [
        Line2D([], [], color=INK, linestyle="--", linewidth=1, label="best so far"),
        Line2D([], [], color=INK, linestyle=":", linewidth=1, label="mean of the generation"),
        Line2D([], [], color=BEST_COLOR, marker="o", label="the best one and those it came from"),
        Line2D([], [], color=OTHER_COLOR, marker="o", linestyle="", label="others"),
    ]
    if any(node.fitness is None for node in nodes):
        handles.append(Line2D([], [], color=FAILED_COLOR, marker="x", linestyle="", label="failed"))
    made.legend(handles=handles, loc="outside upper left", ncols=2, frameon=False, fontsize="small", labelcolor=INK)
    return made


def ancestry(nodes: Sequence[Node], maximizes: bool) -> set[int]:
    """Return the numbers of the best individual and all from which it came; empty where none has a fitness.

    >>> ancestry([Node(0, 1, 0.5), Node(1, 1, 0.7), Node(2, 2, 0.9, (1,)), Node(3, 2, 0.6, (0, 1))], True) == {1, 2}
    True
    """
    by_number = {node.number: node for node in nodes}
    ranked = _ranked(nodes, maximizes)
    found: set[int] = set()
    open_ones = [ranked[0].number] if ranked else []
    while open_ones:
        number = open_ones.pop()
        if number not in found:
            found.add(number)
            open_ones += by_number[number].parents
    return found


def best_so_far(nodes: Sequence[Node], maximizes: bool) -> list[tuple[float, float]]:
    """Return generation and the best fitness of all up to it, from the first generation that has one."""
    found = []
    for generation in sorted({node.generation for node in nodes}):
        ranked = _ranked([node for node in nodes if node.generation <= generation], maximizes)
        if ranked and ranked[0].fitness is not None:
            found.append((float(generation), ranked[0].fitness))
    return found


def means(nodes: Sequence[Node]) -> list[tuple[float, float]]:
    """Return generation and the mean fitness of those of it that have one."""
    fitness: dict[int, list[float]] = {}
    for node in nodes:
        if node.fitness is not None:
            fitness.setdefault(node.generation, []).append(node.fitness)
    return [(float(generation), statistics.fmean(fitness[generation])) for generation in sorted(fitness)]


def _ranked(nodes: Sequence[Node], maximizes: bool) -> list[Node]:
    good = [(node.fitness, node.number, node) for node in nodes if node.fitness is not None]
    return [node for _, _, node in sorted(good, key=lambda entry: (-entry[0] if maximizes else entry[0], entry[1]))]


def _places(nodes: Sequence[Node], maximizes: bool) -> dict[int, tuple[float, float]]:
    """Return where each individual is drawn: those of a generation beside each other, failed ones beyond the worst."""
    fitness = [node.fitness for node in nodes if node.fitness is not None] or [0.0]
    gap = 0.08 * ((max(fitness) - min(fitness)) or 1)
    beyond = min(fitness) - gap if maximizes else max(fitness) + gap
    places = {}
    for generation in {node.generation for node in nodes}:
        members = [node for node in nodes if node.generation == generation]
        for place, node in enumerate(members):
            offset = SPREAD * ((place + 0.5) / len(members) - 0.5)
            places[node.number] = (generation + offset, beyond if node.fitness is None else node.fitness)
    return places
