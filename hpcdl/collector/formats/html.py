"""HTML: the report's page with nothing but the table."""

from hpcdl.collector.table import Table


def html(table: Table) -> str:
    """Return a page with the columns for people, sortable and filterable, and how each run ended."""
    from hpcdl.report.page import page

    return page(table, "hpcdl collect")
