"""CSV, for spreadsheets and pandas."""

import csv
import io
from typing import Any

from hpcdl.collector.columns import harmless
from hpcdl.collector.formats.json import finite
from hpcdl.collector.table import Table


def as_csv(table: Table) -> str:
    """Return all columns with a header line; unknown is an empty cell, several files are joined by `;`.

    Text that a spreadsheet would run as a formula (=, +, -, @ first) gets an apostrophe before it, as OWASP advises:
    https://owasp.org/www-community/attacks/CSV_Injection. Numbers are never touched; Python writes them so that they
    read back as the same number.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_value(column) for column in table.columns])
    for record in table.records:
        writer.writerow([_value(record.values.get(column)) for column in table.columns])
    return text.getvalue()


def _value(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, list):
        value = ";".join(map(str, value))
    if isinstance(value, str):
        value = harmless(value)
        return "'" + value if value.startswith(("=", "+", "-", "@")) else value
    return finite(value)
