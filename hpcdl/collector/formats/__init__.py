"""A table as text or bytes: one module for each format."""

from collections.abc import Callable
from pathlib import Path

from hpcdl.collector.table import Table
from hpcdl.errors import CollectError

SUFFIXES = {
    ".txt": "table",
    ".md": "markdown",
    ".csv": "csv",
    ".tex": "latex",
    ".json": "json",
    ".jsonl": "jsonl",
    ".parquet": "parquet",
    ".html": "html",
}
"""The format that a file's suffix asks for."""


def format_of(path: Path) -> str:
    """Return the format that the suffix of a file asks for.

    Raises:
        CollectError: the suffix is none of SUFFIXES.
    """
    try:
        return SUFFIXES[path.suffix.lower()]
    except KeyError:
        raise CollectError(
            f"-o {path}: the suffix {path.suffix or 'is missing and'} tells no format; it may be "
            f"{', '.join(SUFFIXES)}, or give --format."
        ) from None


def writer(name: str) -> Callable[[Table], str | bytes]:
    """Return the function that writes a table in a format, one of SUFFIXES' values."""
    if name == "table":
        from hpcdl.collector.formats.terminal import plain

        return plain
    if name == "markdown":
        from hpcdl.collector.formats.markdown import markdown

        return markdown
    if name == "csv":
        from hpcdl.collector.formats.csv import as_csv

        return as_csv
    if name == "latex":
        from hpcdl.collector.formats.latex import latex

        return latex
    if name == "parquet":
        from hpcdl.collector.formats.parquet import parquet

        return parquet
    if name == "html":
        from hpcdl.collector.formats.html import html

        return html
    from hpcdl.collector.formats import json

    return {"json": json.as_json, "jsonl": json.as_jsonl}[name]
