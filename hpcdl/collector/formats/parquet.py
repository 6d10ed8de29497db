"""Parquet, for data frames."""

import io

from hpcdl.collector.frame import data_frame
from hpcdl.collector.table import Table
from hpcdl.errors import CollectError


def parquet(table: Table) -> bytes:
    """Return all columns as a Parquet file.

    Raises:
        CollectError: pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: F401 pandas would say it in ten lines
    except ImportError:
        raise CollectError("Parquet needs pyarrow; install it with `pip install 'hpcdl[report]'`.") from None
    data = io.BytesIO()
    data_frame(table).to_parquet(data, engine="pyarrow", index=False)
    return data.getvalue()
