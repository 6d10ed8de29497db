"""The page: HTML that holds all it needs."""

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

import hpcdl
from hpcdl.collector.columns import EMPTY, harmless
from hpcdl.collector.group import counted
from hpcdl.collector.records import Record
from hpcdl.collector.row import Row
from hpcdl.collector.table import Shown, Table, remarks
from hpcdl.report.plots import inline_svg
from hpcdl.report.series import Plot

HERE = Path(__file__).parent
MOST_NUMBERS = 25
"""Rows of the table of numbers under a plot."""


@dataclass
class Drawing:
    """A plot in the page, with its numbers as a table."""

    plot: Plot
    svg: Markup
    names: list[str]
    numbers: list[tuple[str, list[str]]]


def page(table: Table, title: str, sections: Sequence[tuple[str, Sequence[Plot]]] = ()) -> str:
    """Return the page with a table, plots by section, and how each run ended that did not complete."""
    rows = list({id(row): row for record in table.records for row in record.rows}.values())
    anchors = {id(row): f"run-{number}" for number, row in enumerate(rows, start=1) if _is_worth_a_word(row)}
    script = (HERE / "page.js").read_text(encoding="utf-8")
    outcomes = Counter(_words(row.outcome) for row in rows)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    template = environment.from_string((HERE / "page.html.j2").read_text(encoding="utf-8"))
    text = template.render(
        title=harmless(title),
        summary=_summary(rows),
        caption=_caption(table),
        table=table,
        body=[_body(record, table.shown, anchors) for record in table.records],
        outcomes=sorted(outcomes) if any(column.column == "outcome" for column in table.shown) else [],
        counts=outcomes.most_common(),
        told=[_told(row, anchors[id(row)]) for row in rows if id(row) in anchors],
        sections=[(name, [_drawing(plot) for plot in plots]) for name, plots in sections],
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        version=hpcdl.__version__,
    )
    return text + "\n"


def _words(outcome: str) -> str:
    return outcome.replace("_", " ")


def _is_worth_a_word(row: Row) -> bool:
    return row.outcome != "completed" or bool(remarks(row))


def _summary(rows: Sequence[Row]) -> str:
    parts = [f"{len(rows):,} run{'s' * (len(rows) != 1)}", _words(counted([row.outcome for row in rows]) or "")]
    if expected := counted([row.expect for row in rows]):
        parts.append(f"expectations of the jobs: {expected}")
    return "; ".join(part for part in parts if part) + "."


def _caption(table: Table) -> str:
    return f"{len(table.records):,} rows. The head of a column sorts by it; units stand in the heads."


def _body(record: Record, shown: Sequence[Shown], anchors: dict[int, str]) -> dict[str, Any]:
    outcome = record.values.get("outcome")
    anchor = anchors.get(id(record.rows[0])) if shown and shown[0].column == "run" else None
    return {
        "outcome": _words(outcome) if outcome else None,
        "anchor": anchor,
        "cells": [{"text": column.text(record), "attributes": _attributes(record, column)} for column in shown],
    }


def _attributes(record: Record, column: Shown) -> Markup:
    """Return what a cell is besides its text: the exact number to sort by, and a colour for good and bad."""
    value = record.values.get(column.column) if column.column else None
    if column.numeric:
        exact = value if isinstance(value, int | float) else ""
        return Markup(f' class="number" data-value="{exact}"')
    if column.column in ("outcome", "expect") and value:
        return Markup(' class="good"') if value in ("completed", "met") else Markup(' class="bad"')
    return Markup("")


def _told(row: Row, anchor: str) -> dict[str, Any]:
    evidence = row.evidence if row.outcome != "completed" else None
    place = f"{evidence.file}, line {evidence.line}" if evidence and evidence.line else evidence and evidence.file
    return {
        "anchor": anchor,
        "name": harmless(row.run),
        "outcome": _words(row.outcome)
        if row.outcome != "completed"
        else f"completed, expectations {row.expect}"
        if row.unmet
        else "completed",
        "lines": ([harmless(row.cause)] if row.cause else []) + remarks(row)[bool(row.cause) :],
        "evidence": harmless(evidence.text) if evidence else None,
        "place": harmless(place or ""),
    }


def _drawing(plot: Plot) -> Drawing:
    lines = plot.lines
    places = sorted({x for line in lines for x in line.x})
    if len(places) > MOST_NUMBERS:
        step = (len(places) - 1) / (MOST_NUMBERS - 1)
        places = [places[round(number * step)] for number in range(MOST_NUMBERS)]
    known = [dict(zip(line.x, line.y, strict=True)) for line in lines]
    numbers = [(f"{x:g}", [_number(values.get(x)) for values in known]) for x in places]
    names = [f"{line.name}{', validation' if line.dashed else ''}" for line in lines]
    return Drawing(plot, Markup(inline_svg(plot)), names, numbers)


def _number(value: float | None) -> str:
    return EMPTY if value is None else f"{value:.4g}"
