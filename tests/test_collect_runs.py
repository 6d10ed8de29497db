"""`hpcdl collect` on run folders of hpcdl's own."""

import csv
import io
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import hpcdl
from hpcdl import runlog
from hpcdl.cli import app
from hpcdl.collector import COLUMNS, CollectWarning, Row, collect_rows
from hpcdl.collector.formats.csv import as_csv
from hpcdl.collector.formats.markdown import markdown
from hpcdl.collector.table import build
from hpcdl.run import record

JOB = {
    "name": "mnist",
    "resources": {"time": "01:00:00", "ranks_per_node": 2},
    "train": {"model": "mnist_cnn", "data": "mnist", "epochs": 2, "batch_size": 64},
    "expect": {"test_accuracy": ">= 0.9927"},
}
EPOCHS = [
    {"epoch": 1, "epochs": 2, "epoch_s": 31.2, "images_per_s": 1400.0, "loss": 0.2, "accuracy": 0.93},
    {"epoch": 2, "epochs": 2, "epoch_s": 30.2, "images_per_s": 1540.0, "loss": 0.1, "accuracy": 0.97},
]
VALIDATION = [{"val_loss": 0.04, "val_accuracy": 0.991}, {"val_loss": 0.05, "val_accuracy": 0.99}]
TEST = {"test_loss": 0.0332, "test_accuracy": 0.9927}


def write_events(folder: Path, *events: tuple[str, dict]) -> None:
    (folder / runlog.METRICS_FILE).write_text(
        "".join(runlog.format_event(kind, **data) + "\n" for kind, data in events)
    )


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """The folder of a run that went well."""
    folder = tmp_path / "runs" / "mnist-1"
    folder.mkdir(parents=True)
    record.create(folder, name="mnist", id="1", job=JOB, ranks=2, scheduler="local")
    epochs = [("epoch", {**epoch, **val}) for epoch, val in zip(EPOCHS, VALIDATION, strict=True)]
    end = ("run_end", {"status": "success", "images_per_s": 1530.125, "time_s": 62.5})
    write_events(folder, ("run_start", {"ranks": 2, "epochs": 2}), *epochs, ("test", TEST), end)
    record.update(folder, status="success", exit_code=0, time_s=70.25)
    return folder


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """The folder of a run whose launcher was killed in epoch 2: no end, the last line of its metrics cut."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    folder = tmp_path / "runs" / "mnist-2"
    folder.mkdir(parents=True)
    record.create(folder, name="mnist", id="2", ranks=2, scheduler="local", pid=process.pid)
    progress = {"epoch": 2, "step": 400, "loss": 0.5}
    write_events(folder, ("run_start", {"ranks": 2, "epochs": 2}), ("epoch", EPOCHS[0]), ("progress", progress))
    with open(folder / runlog.METRICS_FILE, "a") as file:
        file.write('{"event": "epo')
    return folder


def rows_of(*paths: Path) -> tuple[list[Row], list[str]]:
    warnings: list[str] = []
    return collect_rows(paths, warnings.append), warnings


def row_of(path: Path) -> Row:
    rows, _ = rows_of(path)
    assert len(rows) == 1
    return rows[0]


def run_cli(*arguments: str | Path):
    return CliRunner().invoke(app, ["collect", *map(str, arguments)])


def test_row_of_a_finished_run(finished):
    row = row_of(finished)
    assert (row.run, row.job, row.scheduler, row.ranks, row.outcome) == ("mnist-1", "mnist", "local", 2, "completed")
    assert (row.epochs_done, row.epochs_planned, row.epoch_s, row.partial) == (2, 2, 30.2, None)
    assert (row.loss, row.accuracy, row.val_loss, row.val_accuracy) == (0.1, 0.97, 0.05, 0.99)
    assert (row.best_val_accuracy, row.best_epoch) == (0.991, 1)  # best and last are two things
    assert (row.test_loss, row.test_accuracy) == (0.0332, 0.9927)
    assert (row.images_per_s, row.time_s) == (1530.125, 70.25)
    assert row.unmet == []
    assert {Path(name).name for name in row.files} == {"record.json", "metrics.jsonl"}


def test_a_missed_expectation_is_told(finished):
    record.update(finished, job={**JOB, "expect": {"test_accuracy": ">= 0.999"}})
    row = row_of(finished)
    assert row.unmet == ["test_accuracy is 0.9927, expected >= 0.999"]
    assert "missed" in run_cli(finished).stdout


def test_a_killed_run_is_not_completed(killed):
    rows, warnings = rows_of(killed)
    assert (rows[0].outcome, rows[0].epochs_done, rows[0].loss) == ("incomplete", 1, 0.2)
    assert rows[0].partial == "epoch 2 at step 400, loss 0.5000"
    assert "gone" in rows[0].cause
    assert len(warnings) == 1
    assert "1 line cut" in warnings[0]


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="no /proc to look into")
def test_a_living_run_is_running_and_a_reused_number_is_not(killed):
    with subprocess.Popen([sys.executable, "-c", "input()", "hpcdl"], stdin=subprocess.PIPE) as ours:
        record.update(killed, pid=ours.pid)
        assert row_of(killed).outcome == "running"
        ours.communicate(b"\n")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        record.update(killed, pid=stranger.pid)
        assert row_of(killed).outcome == "incomplete"
        stranger.communicate(b"\n")


def test_a_run_on_another_host_is_judged_by_its_silence(killed):
    record.update(killed, host=socket.gethostname() + "-other", pid=os.getpid())
    assert row_of(killed).outcome == "running"
    for file in killed.iterdir():
        os.utime(file, (1e9, 1e9))
    row = row_of(killed)
    assert row.outcome == "incomplete"
    assert "cannot be seen from here" in row.cause


@pytest.mark.parametrize(
    ("update", "outcome", "cause"),
    [
        ({"status": "aborted", "exit_code": 1, "reason": "rank 1 left"}, "crash_after_training", "rank 1 left"),
        ({"status": "aborted", "exit_code": 137}, "crash_after_training", "ended by signal SIGKILL (exit code 137)"),
        ({"status": "running", "pid": 2**22 + 1}, "completed", None),  # the launcher died after the run's own end
    ],
)
def test_end_of_a_trained_run(finished, update, outcome, cause):
    record.update(finished, **update)
    row = row_of(finished)
    assert (row.outcome, row.cause) == (outcome, cause)


def test_an_abort_in_training_is_a_crash(killed):
    record.update(killed, status="aborted", exit_code=1, reason="weights differ on rank 1")
    row = row_of(killed)
    assert (row.outcome, row.cause) == ("crash", "weights differ on rank 1")


@pytest.mark.parametrize(("name", "outcome"), [("SIGUSR1", "time_limit"), ("SIGTERM", "cancelled")])
def test_a_run_that_a_signal_stopped_with_a_checkpoint(killed, name, outcome):
    reason = f"{name} stopped the run after step 400; it goes on from its checkpoint."
    record.update(killed, status="aborted", exit_code=75, reason=reason)
    row = row_of(killed)
    assert (row.outcome, row.cause) == (outcome, reason)


def test_a_run_that_died_before_its_first_step(tmp_path):
    record.create(tmp_path, name="mnist", job=JOB, ranks=2, pid=2**22 + 1)
    (tmp_path / "mnist_out.1").touch()
    rows, warnings = rows_of(tmp_path)
    assert (rows[0].outcome, rows[0].epochs_done, rows[0].epochs_planned, warnings) == ("incomplete", None, 2, [])


def test_the_logs_of_a_run_know_what_killed_it(killed):
    line = "slurmstepd: error: *** JOB 2 ON n1 CANCELLED AT 2024-05-18T12:04:20 DUE TO TIME LIMIT ***"
    (killed / "mnist_out.2").write_text("Epoch 2/2\n" + line + "\n")
    row = row_of(killed)
    assert (row.outcome, row.evidence.text, row.epochs_done) == ("time_limit", line, 1)


def test_a_run_that_was_continued_counts_its_epochs_once(finished):
    events = (finished / runlog.METRICS_FILE).read_text().splitlines()
    stop = runlog.format_event("run_end", status="aborted", reason="SIGUSR1 stopped the run")
    (finished / runlog.METRICS_FILE).write_text("\n".join([*events[:3], stop, events[0], *events[2:]]) + "\n")
    row = row_of(finished)
    assert (row.outcome, row.epochs_done, row.best_epoch, row.test_accuracy) == ("completed", 2, 1, 0.9927)


def test_without_a_record_the_metrics_tell(finished):
    (finished / record.RECORD_FILE).unlink()
    rows, warnings = rows_of(finished)
    assert (rows[0].outcome, rows[0].test_accuracy, rows[0].time_s) == ("completed", 0.9927, 62.5)
    assert "not there" in warnings[0]


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", '{"status": 7, "ranks": "many", "pid": "x", "time_s": null}', "\0\0"]
)
def test_a_damaged_record_costs_one_warning_at_most(finished, content):
    (finished / record.RECORD_FILE).write_text(content)
    rows, warnings = rows_of(finished)
    assert rows[0].test_accuracy == 0.9927
    assert len(warnings) <= 1


def test_bad_folders_are_warned_of_and_the_rest_is_collected(finished, killed):
    runs = finished.parent
    (runs / "empty").mkdir()
    (runs / "loop").symlink_to(runs)
    rows, warnings = rows_of(runs, runs / "nowhere", finished)
    assert [row.run for row in rows] == ["mnist-1", "mnist-2"]  # the one asked for twice once
    assert sorted(re.sub(r".*/", "", text.split(":")[0]) for text in warnings) == ["empty", "metrics.jsonl", "nowhere"]


def test_nothing_found_is_an_error_in_one_sentence(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "hpcdl", "collect", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "no run found" in result.stderr
    assert "Traceback" not in result.stderr


def test_json_has_every_column_and_null_for_the_unknown(finished, killed):
    result = run_cli(finished.parent, "--format", "json")
    first, second = json.loads(result.stdout)
    assert set(COLUMNS) <= set(first)
    assert list(first) == list(second)
    assert first["test_accuracy"] == 0.9927
    assert second["test_accuracy"] is None
    assert second["epochs_done"] == 1


def test_columns_are_the_documented_ones():
    assert " ".join(COLUMNS) == (
        "run files job_id job scheduler framework ranks outcome cause evidence_file evidence_line evidence expect "
        "epochs_done epochs_planned partial loss accuracy val_loss val_accuracy best_val_accuracy best_epoch test_loss "
        "test_accuracy images_per_s epoch_s time_s"
    )


def test_csv_reads_back(finished, killed):
    rows = list(csv.DictReader(io.StringIO(run_cli(finished.parent, "--format", "csv").stdout)))
    assert [row["test_accuracy"] for row in rows] == ["0.9927", ""]
    assert rows[0]["files"].count(";") == 1


def test_no_text_becomes_a_formula_markup_or_an_escape_sequence():
    row = Row(run="=cmd|' /C calc'!A1", cause="\x1b]0;gotcha\x07<script>|*x*", loss=-1.5, metrics={"+x\n": 1.0})
    table = build([row])
    header, cells = csv.reader(io.StringIO(as_csv(table)))
    assert cells[0].startswith("'=")
    assert header[-1] == "metric.+x<0a>"
    assert dict(zip(header, cells, strict=True))["loss"] == "-1.5"
    for text in (as_csv(table), markdown(table)):
        assert "\x1b" not in text
        assert "\x07" not in text
    assert "&lt;script&gt;\\|\\*x\\*" in markdown(table)


def test_table_is_readable_at_80_columns(finished, killed, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = run_cli(finished.parent).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join(lines)
    for cell in ("mnist-1", "0.9927", "0.0332", "1,530", "0:01:10", "completed", "2/2", "1/2", "incomplete"):
        assert cell in text


def test_markdown(finished):
    assert run_cli(finished, "--format", "markdown").stdout == (
        "| run | ranks | epochs | test accuracy | test loss | images/s | time h:m:s | outcome | expect |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- | --- |\n"
        "| mnist-1 | 2 | 2/2 | 0.9927 | 0.0332 | 1,530 | 0:01:10 | completed | met |\n"
    )


def test_data_frame(finished, killed):
    with pytest.warns(CollectWarning, match="1 line cut"):
        frame = hpcdl.collect(finished.parent)
    assert list(frame.columns)[: len(COLUMNS)] == list(COLUMNS)
    assert frame["train.batch_size"].tolist()[0] == 64
    assert frame["test_accuracy"].tolist()[0] == 0.9927
    assert frame["test_accuracy"].isna().tolist() == [False, True]
    assert {str(frame[name].dtype) for name in ("ranks", "epochs_done")} == {"Int64"}
    assert {str(frame[name].dtype) for name in ("loss", "time_s")} == {"Float64"}


def test_collect_imports_neither_tensorflow_nor_pandas(finished):
    code = (
        "import sys; from hpcdl.cli import app\n"
        f"app(['collect', {str(finished)!r}], standalone_mode=False)\n"
        "print([name for name in ('tensorflow', 'keras', 'horovod', 'mpi4py', 'pandas') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
