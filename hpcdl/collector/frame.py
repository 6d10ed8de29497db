"""A table as a pandas data frame."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hpcdl.collector.columns import ALL_COLUMNS
from hpcdl.collector.compare import COMPARE_COLUMNS
from hpcdl.collector.row import FLOAT_COLUMNS
from hpcdl.collector.table import Table

if TYPE_CHECKING:
    import pandas

DTYPES = {"int": "Int64", "float": "Float64", "str": "string", "bool": "boolean", "list of str": "object"}
"""The dtype of a column by the type in its description; all of them know a missing value."""
MAX_INT = 2**63


def data_frame(table: Table) -> "pandas.DataFrame":
    """Return all columns of a table, each with the dtype of its description; unknown is <NA>."""
    import pandas

    values = {column: [record.values.get(column) for record in table.records] for column in table.columns}
    made = {column: _series(column, items) for column, items in values.items()}
    return pandas.DataFrame(made, columns=table.columns)


def _series(column: str, items: Sequence[Any]) -> "pandas.Series":
    import pandas

    dtype = dtype_of(column, items)
    if dtype == "Int64":
        items = [item if isinstance(item, int) and abs(item) < MAX_INT else None for item in items]
    elif dtype == "Float64":
        items = [item if isinstance(item, int | float) else None for item in items]
    elif dtype == "string":
        items = [None if item is None else str(item) for item in items]
    return pandas.Series(items, dtype=dtype)


def dtype_of(column: str, items: Sequence[Any]) -> str:
    """Return the dtype of a column: as described, of a job's setting as its values are."""
    described = (COMPARE_COLUMNS | ALL_COLUMNS).get(column, "")
    for kind, dtype in DTYPES.items():
        if described.startswith((f"{kind}:", f"{kind},")):
            return dtype
    if column.startswith("metric.") or column.removesuffix("_std") in FLOAT_COLUMNS:
        return "Float64"
    if column.removesuffix("_n") in FLOAT_COLUMNS:
        return "Int64"
    known = [item for item in items if item is not None]
    if not known or any(isinstance(item, str) for item in known):
        return "string"
    if all(isinstance(item, bool) for item in known):
        return "boolean"
    if all(isinstance(item, int) and not isinstance(item, bool) for item in known):
        return "Int64"
    return "Float64" if all(isinstance(item, int | float) for item in known) else "string"
