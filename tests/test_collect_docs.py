"""The pages on collect and report say what is so."""

import re
import shlex
from pathlib import Path

import pandas
import pytest
from run_folders import series
from typer.testing import CliRunner

from hpcdl.cli import app
from hpcdl.collector import COLUMNS, OUTCOMES, collect_rows
from hpcdl.collector.columns import DERIVED_COLUMNS
from hpcdl.collector.compare import COMPARE_COLUMNS
from hpcdl.collector.epochs import EPOCH_COLUMNS
from hpcdl.collector.formats import SUFFIXES
from hpcdl.collector.ranks import RANK_COLUMNS
from hpcdl.report.series import MOST_CURVES, MOST_NAMED

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "collect.md").read_text()
REPORT = (DOCS / "report.md").read_text()


def table(title: str) -> dict[str, str]:
    section = re.split(r"\n##+ ", PAGE.partition(f"## {title}\n")[2])[0]
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


@pytest.mark.parametrize(
    ("title", "columns"),
    [
        ("Of repeats and speed-up", DERIVED_COLUMNS),
        ("Of epochs", EPOCH_COLUMNS),
        ("Of ranks", RANK_COLUMNS),
        ("Of a comparison", COMPARE_COLUMNS),
    ],
)
def test_the_columns_of_other_tables_are_the_documented_ones(title, columns):
    assert table(title) == columns


def test_the_commands_on_the_pages_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    series(tmp_path / "runs")
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE + REPORT, re.MULTILINE | re.DOTALL)
    commands = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    assert len(commands) == 10
    for command in commands:
        result = CliRunner().invoke(app, shlex.split(command)[1:])
        assert result.exit_code == 0, (command, result.output)
    for name in ("results.tex", "curves.parquet", "report.html", "mnist.html", "figures/speedup.pdf"):
        assert (tmp_path / name).stat().st_size
    assert sorted(pandas.read_parquet("curves.parquet")["epoch"].unique()) == [2, 3]


def test_the_python_on_the_page_reads_the_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    series(tmp_path / "runs")
    assert CliRunner().invoke(app, ["collect", "runs", "-o", "results.csv"]).exit_code == 0
    names: dict[str, pandas.DataFrame] = {}
    exec(re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[0], names)
    assert names["frame"]["test_accuracy"].tolist()[:2] == [0.989, 0.99]


def test_formats_and_limits_are_the_documented_ones():
    assert all(f"`{suffix}`" in PAGE for suffix in SUFFIXES)
    assert f"more\n  than {MOST_NAMED} kinds" in REPORT
    assert f"more than {MOST_CURVES} runs" in REPORT
