"""JSON, as one list or as one object a line."""

import json
import math
from collections.abc import Iterator
from typing import Any

from hpcdl.collector.table import Table


def as_json(table: Table) -> str:
    """Return a list of objects, each with all columns; what is unknown, or no finite number, is null."""
    return json.dumps(list(_objects(table)), indent=1, allow_nan=False) + "\n"


def as_jsonl(table: Table) -> str:
    """Return the objects of as_json, one a line."""
    return "".join(json.dumps(item, allow_nan=False) + "\n" for item in _objects(table))


def _objects(table: Table) -> Iterator[dict[str, Any]]:
    for record in table.records:
        yield {column: finite(record.values.get(column)) for column in table.columns}


def finite(value: Any) -> Any:
    """Return None for NaN and the infinities, which JSON does not have."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
