"""A prediction as a table in every format of `hpcdl collect`, and as plots."""

from collections.abc import Callable
from typing import Any

from hpcdl.collector.columns import EMPTY, cell, duration
from hpcdl.collector.records import Record
from hpcdl.collector.table import Shown, Table
from hpcdl.report.series import Line, Plot
from hpcdl.scaling.predict import Prediction

COLUMNS: dict[str, str] = {
    "nodes": "int",
    "ranks": "int: over all nodes",
    "global_batch_size": "int: inputs of one step over all ranks",
    "steps": "int: of the whole job",
    "images_per_s": "float, images/s: of all ranks together",
    "efficiency": "float, 0..1: images/s over those of ranks that never wait for each other",
    "time_s": "float, s: of the training, without start-up, evaluation and checkpoints",
    "allreduce": "float, 0..1: the part of the time in which ranks wait for the allreduce",
    "hours": "float: GPU, core or node hours that the training takes",
    "measured_images_per_s": "float, images/s: of a run on so many ranks; null where none was given",
}
"""What a prediction tells of each number of nodes. Those from `images_per_s` to `hours` are two columns each, `_least`
and `_most`; `hours` is called gpu_hours, core_hours or node_hours."""

UNITS = {"gpu_hours": "GPU hours", "core_hours": "core hours", "node_hours": "node hours"}


def table(prediction: Prediction) -> Table:
    """Return the prediction as a table."""
    records = []
    for point in prediction.points:
        values: dict[str, Any] = {
            "nodes": point.nodes,
            "ranks": point.ranks,
            "global_batch_size": point.global_batch,
            "steps": point.steps,
        }
        brackets = {
            "images_per_s": point.images_per_s,
            "efficiency": point.efficiency,
            "time_s": point.time_s,
            "allreduce": point.allreduce,
            prediction.unit: point.hours,
        }
        for name, bracket in brackets.items():
            values |= {f"{name}_least": bracket and bracket.least, f"{name}_most": bracket and bracket.most}
        records.append(Record({**values, "measured_images_per_s": point.measured}, []))
    shown = [
        *(Shown(name, _plain(name), True, name) for name in ("nodes", "ranks")),
        Shown("images/s", _range("images_per_s", lambda value: cell("images_per_s", value)), True),
        Shown("efficiency", _range("efficiency", "{:.2f}".format), True),
        Shown("allreduce %", _range("allreduce", lambda part: f"{100 * part:.0f}"), True),
        Shown("time h:m:s", _range("time_s", duration), True),
        Shown(UNITS[prediction.unit], _range(prediction.unit, lambda value: f"{value:,.3g}"), True),
    ]
    if any(point.measured for point in prediction.points):
        shown.insert(3, Shown("measured", _plain("measured_images_per_s"), True, "measured_images_per_s"))
    return Table(records, list(records[0].values), shown, prediction.title, prediction.notes)


def _plain(column: str) -> Callable[[Record], str]:
    return lambda record: cell(column, record.values[column])


def _range(name: str, text: Callable[[float], str]) -> Callable[[Record], str]:
    def told(record: Record) -> str:
        least, most = record.values[f"{name}_least"], record.values[f"{name}_most"]
        if least is None:
            return EMPTY
        return text(least) if text(least) == text(most) else f"{text(least)}-{text(most)}"

    return told


def plots(prediction: Prediction) -> list[Plot]:
    """Return speed-up and efficiency by ranks: the least, the most, and what was measured."""
    points, first = prediction.points, prediction.points[0]
    one_rank = first.images_per_s.most / first.efficiency.most / first.ranks
    ranks = [float(point.ranks) for point in points]

    def lines(least: list[float], most: list[float], scale: Callable[[float, int], float]) -> list[Line]:
        found = [
            Line("most", "most: allreduce hidden", ranks, most, group=0),
            Line("least", "least: nothing hidden", ranks, least, group=1),
        ]
        runs = [(float(point.ranks), scale(point.measured, point.ranks)) for point in points if point.measured]
        if runs:
            found.append(Line("measured", "measured", [x for x, _ in runs], [y for _, y in runs], group=2))
        return found

    text = f"Line chart of {prediction.title}, predicted. The numbers are in the table."
    efficiency = lines(
        [point.efficiency.least for point in points],
        [point.efficiency.most for point in points],
        lambda rate, count: rate / (one_rank * count),
    )
    speedup = lines(
        [point.images_per_s.least / one_rank for point in points],
        [point.images_per_s.most / one_rank for point in points],
        lambda rate, _: rate / one_rank,
    )
    return [
        Plot("speedup", "Speed-up by ranks", "ranks", "speed-up", speedup, lambda ranks: ranks, True, text),
        Plot("efficiency", "Efficiency by ranks", "ranks", "efficiency", efficiency, lambda _: 1, True, text),
    ]
