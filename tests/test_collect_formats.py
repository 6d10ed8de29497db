"""Every format of the tables: what it holds, and that it reads back as what it was."""

import io
import json
import os
import subprocess
import sys

import pandas
import pytest
from run_folders import make_run, series
from typer.testing import CliRunner

from hpcdl.cli import app
from hpcdl.collector import COLUMNS, Row, collect_rows
from hpcdl.collector.formats import SUFFIXES, writer
from hpcdl.collector.formats.terminal import fitting
from hpcdl.collector.frame import data_frame
from hpcdl.collector.table import Request, build

REQUESTS = {
    "runs": Request(),
    "epochs": Request(epochs=True),
    "ranks": Request(ranks=True),
    "repeats": Request(repeats=True, speedup=True),
    "compare": Request(compare=("mnist-1-1", "mnist-4-1")),
}
ODD = Row(
    "[5%_of & #1 {x} $y$ ~ ^ \\ | *b* `c` <i>",
    cause="losses -- \x1b[31m±NaN\u202e",
    outcome="crash",
    metrics={"a_b & <c>\x1b[2J": 1.5},
)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return [*collect_rows([series(tmp_path_factory.mktemp("runs"))], pytest.fail), ODD]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return series(tmp_path_factory.mktemp("runs"))


def run_cli(*arguments):
    return CliRunner().invoke(app, ["collect", *map(str, arguments)])


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_csv_json_lines_and_parquet_read_back_as_the_same_frame(rows, request_):
    table = build([row for row in rows if row is not ODD], request_)
    frame = data_frame(table)
    assert len(frame) == len(table.records)

    parquet = pandas.read_parquet(io.BytesIO(writer("parquet")(table)), dtype_backend="numpy_nullable")
    lists = ["files"] if "files" in frame else []
    for name in lists:
        parquet[name] = parquet[name].map(lambda item: None if item is None else list(item))
    pandas.testing.assert_frame_equal(parquet.astype(frame.dtypes), frame)

    lines = writer("jsonl")(table)
    read = pandas.DataFrame([json.loads(line) for line in lines.splitlines()], columns=frame.columns)
    pandas.testing.assert_frame_equal(read.astype(frame.dtypes), frame)
    assert json.loads(writer("json")(table)) == [json.loads(line) for line in lines.splitlines()]

    text = frame.drop(columns=lists)
    read = pandas.read_csv(
        io.StringIO(writer("csv")(table)),
        dtype=text.dtypes.to_dict(),
        usecols=list(text.columns),
        keep_default_na=False,
        na_values=[""],
        **({"float_precision": "round_trip"} if pandas.__version__.startswith("2.") else {}),
    )
    pandas.testing.assert_frame_equal(read, text, check_exact=True)


@pytest.mark.parametrize("form", ["markdown", "latex"])
@pytest.mark.parametrize("name", ["runs", "repeats", "compare"])
def test_golden(rows, golden, form, name, monkeypatch, tmp_path):
    text = writer(form)(build(rows, REQUESTS[name]))
    place = rows[0].files[0].rpartition("/mnist-1-1")[0]
    suffix = {"markdown": "md", "latex": "tex"}[form]
    golden(f"table-{name}.{suffix}", text.replace(place if suffix == "md" else place.replace("_", r"\_"), "runs"))


def test_failed_runs_and_their_reasons_are_in_every_format(rows):
    for name in SUFFIXES.values():
        for request_ in (REQUESTS["runs"], REQUESTS["repeats"], REQUESTS["epochs"]):
            data = writer(name)(build(rows, request_))
            if isinstance(data, bytes):
                frame = pandas.read_parquet(io.BytesIO(data))
                data = frame.to_json()
            assert "mnist-bad" in data
            assert "weights differ" in data.replace(r"\_", "_")


def test_every_header_of_a_quantity_has_its_unit_or_needs_none(rows):
    headers = {column.header for request_ in REQUESTS.values() for column in build(rows, request_).shown}
    assert {"images/s", "time h:m:s", "time s", "epoch s", "images/s of the rank"} <= headers


def test_epochs_have_a_row_each_and_a_run_without_any_is_kept(folder):
    make_run(folder.parent / "more", "none", reason="died at once", epochs=0)
    result = run_cli(folder.parent / "more", folder, "--epochs", "--format", "json", "--where", "ranks == 1")
    found = json.loads(result.stdout)
    assert [(line["run"], line["epoch"]) for line in found][:4] == [
        ("none", None),
        ("mnist-1-1", 1),
        ("mnist-1-1", 2),
        ("mnist-1-1", 3),
    ]
    assert found[0]["cause"] == "died at once"
    assert (found[3]["val_loss"], found[3]["images_per_s"]) == (pytest.approx(1.1 / 3), 1010.0)


def test_ranks_have_a_row_each(folder):
    found = json.loads(run_cli(folder, "--ranks", "--format", "json", "--where", "run == mnist-2-1").stdout)
    assert [(line["rank"], line["host"], line["device"]) for line in found] == [
        (0, "node1", "2 cores"),
        (1, "node1", "2 cores"),
    ]
    assert found[0]["rank_images_per_s"] == pytest.approx((1000 * 2**0.9 + 10) / 2)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_suffix_of_the_file_tells_the_format(folder, tmp_path, suffix):
    path = tmp_path / f"table{suffix.upper()}"
    path.write_text("old")
    result = run_cli(folder, "-o", path)
    assert (result.exit_code, result.stdout) == (0, "")
    marks = {
        ".txt": b" " * 30 + b"test",
        ".md": b"| run |",
        ".csv": b"run,files",
        ".tex": b"% \\use",
        ".json": b"[\n",
        ".jsonl": b"{",
    }
    assert path.read_bytes().startswith(marks.get(suffix, b"PAR1" if suffix == ".parquet" else b"<!doctype html>"))
    assert [item.name for item in tmp_path.iterdir()] == [path.name]  # nothing half-written beside it


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "table.xls"], "-o table.xls: the suffix .xls tells no format; it may be .txt, .md"),
        (["-o", "table"], "the suffix is missing and tells no format"),
        (["-o", "no/such/folder/t.csv"], "cannot be written (No such file or directory)"),
        (["--columns", "accurracy"], "no column 'accurracy'; did you mean"),
        (["--group-by", "colour"], "--group-by: no column 'colour'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(folder, arguments, said):
    command = [sys.executable, "-m", "hpcdl", "collect", str(folder), *arguments]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (2, "")
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_narrow_terminal_leaves_columns_out_before_it_folds_names(folder):
    rows = collect_rows([folder], pytest.fail)
    for row in rows:
        row.run += "-20261120-195844"
    table = build(rows)
    assert fitting(table, 200) == table.shown
    narrow = [column.header for column in fitting(table, 80)]
    assert "test loss" not in narrow
    assert {"run", "ranks", "test accuracy", "images/s", "outcome"} <= set(narrow)
    asked = build(rows, Request(columns=["run", "test_loss", "time_s", "cause"]))
    assert fitting(asked, 20) == asked.shown
    environment = {**os.environ, "COLUMNS": "80"}
    command = [sys.executable, "-m", "hpcdl", "collect", str(folder), "--repeats", "--speedup"]
    lines = subprocess.run(command, capture_output=True, text=True, env=environment).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "0.9900 ± 0.0010" in lines[2] or "0.9900 ± 0.0010" in lines[3]


def test_a_condition_that_no_run_fulfils_leaves_the_header_and_says_so(folder):
    command = [sys.executable, "-m", "hpcdl", "collect", str(folder), "--where", "ranks > 99", "--format", "csv"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0
    assert result.stdout.startswith(",".join(list(COLUMNS)[:3]))
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr == "warning: none of 10 runs fulfils --where\n"
