"""The page on collect says what is so."""

import re
from pathlib import Path

from hpcdl.collector import COLUMNS, OUTCOMES, collect_rows

PAGE = (Path(__file__).parent.parent / "docs" / "collect.md").read_text()


def table(title: str) -> dict[str, str]:
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", section, re.MULTILINE))


def test_the_columns_are_the_documented_ones():
    documented = table("Columns")
    documented.pop("metric.NAME")
    assert documented == COLUMNS


def test_the_outcomes_are_the_documented_ones():
    assert table("Outcomes") == OUTCOMES


def test_the_dialect_on_the_page_reads_what_it_says(tmp_path):
    (tmp_path / "my.yaml").write_text(re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[0])
    log = tmp_path / "job.log"
    log.write_text("sweep 2 of 2: residual 1e-3 in 2 min\nedit took 100 ms\nverdict 87.5%\n")
    (row,) = collect_rows([log], print, dialects=[tmp_path / "my.yaml"])
    assert (row.epochs_done, row.loss, row.epoch_s, row.metrics["edit_s"]) == (2, 0.001, 120, 0.1)
    assert (row.test_accuracy, row.outcome) == (0.875, "completed")
