"""Coverage-guided fuzzing of the collector: `python tests/fuzz/collect.py -max_total_time=600 CORPUS`.

Needs atheris (https://github.com/google/atheris), which is no part of the test environment. CORPUS is a folder; the
fixtures of tests/logs/ are a good start: copy them into it. A finding is written to the working folder as crash-*.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["hpcdl"]):
    from hpcdl.collector import OUTCOMES, collect_rows
    from hpcdl.collector.explain import explained
    from hpcdl.collector.formats import SUFFIXES, writer
    from hpcdl.collector.table import build
    from hpcdl.errors import CollectError

LOG = Path(tempfile.mkdtemp()) / "job.log"


def collect(data: bytes) -> None:
    """Collect `data` as a log, by every way out; any exception but the collector's own is a finding."""
    LOG.write_bytes(data)
    rows = collect_rows([LOG], lambda text: None)
    for row in rows:
        assert row.outcome in OUTCOMES
        assert (row.cause is None) == (row.outcome == "completed")
    for name in SUFFIXES.values():
        text = writer(name)(build(rows))
        assert isinstance(text, bytes) or "\x1b" not in text
    try:
        list(explained(LOG))
    except CollectError:
        assert not rows


if __name__ == "__main__":
    atheris.Setup(sys.argv, collect)
    atheris.Fuzz()
