"""The report: one page that needs nothing else, with the table, the learning curves and how each run ended."""
