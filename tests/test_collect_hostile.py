"""Logs that mean harm, and logs that mean nothing: no exception, no escape sequence, no formula, no markup gets out."""

import csv
import io
import json
import math
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcdl.collector import OUTCOMES, Row, collect_rows
from hpcdl.collector.explain import explained
from hpcdl.collector.formats import writer
from hpcdl.collector.table import build

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")
PIECES = [
    *(
        "Epoch 1/2",
        "Epoch ",
        "1/2",
        " - ETA: 3s",
        "[==>..]",
        "━━",
        " - 31s",
        "/step",
        " - loss: ",
        "0.5",
        "1e999",
        "nan",
    ),
    *(
        "Traceback (most recent call last):",
        "Error: ",
        "\n",
        "\r",
        "\b\b",
        "\x1b[31m",
        "\x1b]0;x\x07",
        "\0",
        "%|",
        "|",
        "[",
    ),
    *(
        "slurmstepd: error: *** JOB ",
        "ON n1 CANCELLED AT ",
        " ***",
        "=>> PBS: job killed: ",
        "[1,0]<stdout>:",
        "0: ",
        "# ",
    ),
    *(
        ":::MLLOG ",
        ":::MLL 1 run_stop: ",
        '{"key": "eval_accuracy", "value": ',
        "}",
        "images/sec: ",
        "total ",
        "{'",
        "]",
    ),
    *(
        "Test accuracy: ",
        "<script>",
        "=cmd|' /C calc'!A1",
        "@SUM(1)",
        "val_acc",
        ": ",
        "=",
        "9" * 400,
        "\u202e",
        "1:2:3",
    ),
    *(
        "Step Epoch Img/sec Loss LR",
        "| Epoch | Loss |",
        "Exit Status: ",
        "State : ",
        "Job 1 for user '",
        "took ",
        "epochs=",
    ),
    *(
        "***** Eval results *****",
        " = ",
        "wandb:  ",
        "Accuracy: 1/0",
        "%",
        "'epoch': ",
        "Epoch[0] ",
        "Walltime Used: ",
        ":",
    ),
    *(
        "iteration 1/ 2 |",
        "Namespace(",
        "-inf",
        "-",
        "Train Epoch: ",
        "[0/9 (0%)]",
        "Initialized rank 7 out of ",
        "\ufeff",
    ),
]
TEXT_FORMATS = ("table", "markdown", "latex", "csv", "html")


def written(rows: list[Row], name: str) -> str:
    text = writer(name)(build(rows))
    assert isinstance(text, str)
    return text


TEXT = st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=40).map("".join)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200) | TEXT.map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_give_sound_rows(tmp_path, data):
    path = tmp_path / "job.log"
    path.write_bytes(data)
    rows = collect_rows([path], lambda text: None)
    for row in rows:
        assert row.outcome in OUTCOMES
        assert (row.cause is None) == (row.outcome == "completed")
        assert all(math.isfinite(value) for value in row.metrics.values())
        for column in ("accuracy", "val_accuracy", "best_val_accuracy", "test_accuracy"):
            value = getattr(row, column)
            assert value is None or 0 <= value <= 1
        for column in ("epochs_done", "epochs_planned", "ranks"):
            assert getattr(row, column) is None or getattr(row, column) >= 0
    json.loads(written(rows, "json"))
    outputs = [written(rows, name) for name in ("csv", "markdown", "latex", "table")]
    if rows:
        outputs += explained(path)
    for text in outputs:
        assert not CONTROL.search(text)
        text.encode()


HOSTILE = "\x1b]0;gotcha\x07\x1b[2J<img src=x onerror=alert(1)>|`rm -rf`\u202e"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", "\n="])
def test_no_cell_begins_a_formula(start):
    row = Row(start + "1+1", cause=start + "cmd|' /C calc'!A1", metrics={start + "x": 1.0})
    for cells in csv.reader(io.StringIO(written([row], "csv"))):
        assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\n")]


def test_a_hostile_message_stays_text(tmp_path):
    path = tmp_path / "job.log"
    path.write_text('Traceback (most recent call last):\n  File "x.py", line 1\nValueError: ' + HOSTILE + "\n")
    rows = collect_rows([path], pytest.fail)
    assert rows[0].outcome == "crash"
    for text in (*(written(rows, name) for name in TEXT_FORMATS), *explained(path)):
        assert not CONTROL.search(text)
    assert "<img" not in written(rows, "markdown")
    assert "<img" not in written(rows, "html")


def test_a_hostile_file_name_stays_text(tmp_path, capsys):
    from typer.testing import CliRunner

    from hpcdl.cli import app

    path = tmp_path / "a\x1b[31m\n=b.log"
    path.write_text("Epoch 1/1\n5/5 - 1s - loss: 0.5\n")
    (tmp_path / "e\x1b[2J.log").touch()
    for form in ("table", "markdown", "latex", "html", "csv", "json", "jsonl"):
        result = CliRunner().invoke(app, ["collect", str(tmp_path), "--format", form])
        assert result.exit_code == 0
        assert not CONTROL.search(result.output)
