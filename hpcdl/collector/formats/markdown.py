"""Markdown, as GitHub and most others read it."""

import re
from collections.abc import Sequence

from hpcdl.collector.columns import harmless
from hpcdl.collector.table import Table


def markdown(table: Table) -> str:
    """Return the columns for people as a Markdown table, then what must be said of single runs."""
    lines = [_pipes([escaped(column.header) for column in table.shown])]
    lines += [_pipes(["---:" if column.numeric else "---" for column in table.shown])]
    lines += [_pipes([escaped(column.text(record)) for column in table.shown]) for record in table.records]
    notes = [f"- {escaped(note)}" for note in table.notes]
    notes += [f"- {escaped(run)}: {escaped(line)}" for run, line in table.remarks]
    return "\n".join(lines + (["", *notes] if notes else [])) + "\n"


def _pipes(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def escaped(text: str) -> str:
    r"""Escape what Markdown or the HTML in it would take for markup; a mean stays in one line with its deviation.

    >>> escaped("images_per_s"), escaped("the _err log"), escaped("*a*|b")
    ('images_per_s', 'the \\_err log', '\\*a\\*\\|b')
    """
    text = re.sub(r"([\\`*\[\]|~#]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", harmless(text))
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace(" ± ", "\xa0±\xa0")
