"""The numbers behind the plots."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hpcdl.collector.columns import harmless, header
from hpcdl.collector.group import Key, differing, group_key, merge_repeats, repeat_key
from hpcdl.collector.records import Record, of_runs
from hpcdl.collector.row import Row

MOST_CURVES = 40
"""Runs whose learning curves are drawn: more are no picture, and a page of megabytes."""
MOST_POINTS = 200
"""Points of one curve; longer ones are thinned, the first and the last point kept."""
MOST_NAMED = 6
"""Groups of curves that are told apart by colour, marker and name; where there are more, all are drawn alike."""
MOST_KEYS = 3
"""Settings that a legend tells of a job."""


@dataclass
class Line:
    """One line of a plot."""

    name: str
    """The run's, or the series'."""
    label: str
    """How the legend calls lines of its group."""
    x: list[float]
    y: list[float]
    errors: list[float | None] = field(default_factory=list)
    """Standard deviations of y, where there are some."""
    dashed: bool = False
    group: int = 0
    """Lines of one group have the same colour."""


@dataclass
class Plot:
    """What is drawn, and said of it to those who do not see it."""

    name: str
    """Part of file names: letters, digits, `-`."""
    title: str
    x_label: str
    y_label: str
    lines: list[Line]
    ideal: Callable[[float], float] | None = None
    """The line that a perfect scaling would follow."""
    by_size: bool = False
    """x is a number of ranks."""
    description: str = ""


def curves(rows: Sequence[Row]) -> list[Plot]:
    """Return the learning curves: one plot for the losses and one for the accuracies, where there are any."""
    trained = [row for row in rows if row.history]
    drawn = trained[:MOST_CURVES]
    names = names_of_repeats(drawn)
    groups = {key: number for number, key in enumerate(names)}
    plots = []
    for measure in ("loss", "accuracy"):
        lines = []
        for row in drawn:
            key = repeat_key(row)
            for column, dashed in ((measure, False), (f"val_{measure}", True)):
                points = [(epoch["epoch"], epoch[column]) for epoch in row.history if column in epoch]
                if points:
                    x, y = zip(*thinned(points), strict=True)
                    lines.append(
                        Line(harmless(row.run), names[key], list(x), list(y), dashed=dashed, group=groups[key])
                    )
        if not lines:
            continue
        of_all = f"{len(drawn)} of {len(trained)} runs, the table's first" if len(drawn) < len(trained) else ""
        validated = "; dashed: validation" if any(line.dashed for line in lines) else ""
        plots.append(
            Plot(
                name=f"curves-{measure}",
                title=f"{measure.capitalize()} by epoch" + (f" ({of_all})" if of_all else ""),
                x_label="epoch",
                y_label=f"training {measure}{validated}",
                lines=lines,
                description=_described(lines, measure),
            )
        )
    return plots


def names_of_repeats(rows: Sequence[Row]) -> dict[Key, str]:
    """Return how a legend calls the repeats of each job: by what tells it from the others, `2 ranks, batch_size 64`."""
    records = merge_repeats(of_runs(rows))
    keys = differing(records)
    jobs = len({record.values.get("job") for record in records}) > 1
    names = {}
    for record in records:
        row, values = record.rows[0], record.values
        parts = [str(row.job)] * (jobs and row.job is not None)
        parts += [f"{row.ranks} rank{'s' * (row.ranks != 1)}"] * (row.ranks is not None)
        parts += [f"{header(key)} {values[key]}" for key in keys[:MOST_KEYS] if values.get(key) is not None]
        number = f" (n={len(record.rows)})" if len(record.rows) > 1 else ""
        names[repeat_key(row)] = harmless(", ".join(parts) + number if row.settings else row.run)
    return names


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most MOST_POINTS points, evenly chosen, the first and the last among them."""
    if len(points) <= MOST_POINTS:
        return list(points)
    last = len(points) - 1
    return [points[round(number * last / (MOST_POINTS - 1))] for number in range(MOST_POINTS)]


def _described(lines: Sequence[Line], measure: str) -> str:
    ends = [line.y[-1] for line in lines]
    return (
        f"Line chart of {len(lines)} curves. The last value of {measure} lies between {min(ends):.4g} and "
        f"{max(ends):.4g}. The numbers are in the table below the chart."
    )


def scaling(rows: Sequence[Row], group_by: Sequence[str] = ()) -> list[Plot]:
    """Return speed-up and efficiency by the number of ranks, for each job that ran on several numbers of ranks."""
    records = merge_repeats(of_runs(rows), group_by)
    groups: dict[object, list[Record]] = {}
    for record in records:
        key = group_key(record, group_by)
        if key is not None and record.values.get("ranks") and record.values.get("images_per_s"):
            groups.setdefault(key, []).append(record)
    series = [sorted(group, key=lambda record: record.values["ranks"]) for group in groups.values()]
    series = [group for group in series if len({record.values["ranks"] for record in group}) > 1]
    if not series:
        return []
    speedups, efficiencies = [], []
    for number, group in enumerate(series):
        base = group[0].values["images_per_s"]
        smallest = group[0].values["ranks"]
        ranks = [float(record.values["ranks"]) for record in group]
        speedup = [record.values["images_per_s"] / base for record in group]
        deviations = [record.values.get("images_per_s_std") for record in group]
        errors = [None if deviation is None else deviation / base for deviation in deviations]
        per_rank = [smallest / rank for rank in ranks]
        name = _series_name(group, number)
        speedups.append(Line(name, name, ranks, speedup, errors, group=number))
        scaled = [None if error is None else error * part for error, part in zip(errors, per_rank, strict=True)]
        efficiency = [value * part for value, part in zip(speedup, per_rank, strict=True)]
        efficiencies.append(Line(name, name, ranks, efficiency, scaled, group=number))
    smallest = min(line.x[0] for line in speedups)
    spread = "; bars: standard deviation" if any(any(line.errors) for line in speedups) else ""
    text = "Line chart. The numbers are in the table below the chart."
    up, part = f"speed-up{spread}", f"efficiency{spread}"
    return [
        Plot("speedup", "Speed-up by ranks", "ranks", up, speedups, lambda ranks: ranks / smallest, True, text),
        Plot("efficiency", "Efficiency by ranks", "ranks", part, efficiencies, lambda ranks: 1, True, text),
    ]


def _series_name(group: Sequence[Record], number: int) -> str:
    return harmless(str(group[0].values.get("job") or group[0].rows[0].run or f"series {number + 1}"))
