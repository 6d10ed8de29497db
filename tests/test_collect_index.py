"""The index: what has not changed is not read again, and nothing else comes out than without it."""

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from hpcdl import runlog
from hpcdl.collector import Row, collect_rows, index, reading
from hpcdl.run import record

NUM_RUNS = 6


def make_run(folder: Path, loss: float, status: str = "success", **more: object) -> None:
    """Write a run folder that was last touched an hour ago."""
    folder.mkdir(parents=True)
    (folder / record.RECORD_FILE).write_text(json.dumps({"name": folder.name, "status": status, "pid": 1, **more}))
    events = [("run_start", {"ranks": 2, "epochs": 1}), ("epoch", {"epoch": 1, "epochs": 1, "loss": loss})]
    events += [("run_end", {"status": status})] if status == "success" else []
    (folder / runlog.METRICS_FILE).write_text(
        "".join(runlog.format_event(kind, **data) + "\n" for kind, data in events) + '{"cut'
    )
    age(folder)


def age(folder: Path) -> None:
    for path in [folder, *folder.iterdir()]:
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 3600))


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of runs and of other logs, worth an index."""
    monkeypatch.setattr(index, "WORTH_RUNS", 3)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for number in range(NUM_RUNS):
        make_run(tmp_path / "runs" / f"mnist-{number}", loss=number + 0.5)
    others = tmp_path / "runs" / "others"
    others.mkdir()
    (others / "job_out.77").write_text("Epoch 1/1\n - 31s - loss: 0.5 - val_loss: nan\n")
    (others / "job_err.77").write_text("")
    age(others)
    return tmp_path / "runs"


class Reads:
    """Counts the runs that are read; what is read may be set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        read = reading.RunReader.read

        def counted(reader, run):
            self.names.append(getattr(run, "name", str(run)))
            return read(reader, run)

        monkeypatch.setattr(reading.RunReader, "read", counted)

    def take(self) -> list[str]:
        names, self.names = self.names, []
        return sorted(names)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


def collect(*paths: Path, **options) -> tuple[list[str], list[str]]:
    """Return the rows, as text since nan is not equal to itself, and the warnings."""
    warnings: list[str] = []
    rows = collect_rows(paths, warnings.append, **{"index": True, **options})
    return list(map(repr, rows)), warnings


def losses(rows: list[Row]) -> list[float | None]:
    return [row.loss for row in rows]


def test_rows_and_warnings_are_the_same_with_and_without(runs, reads):
    without = collect(runs, index=False)
    assert len(without[0]) == NUM_RUNS + 1
    assert any("cut or damaged" in text for text in without[1])
    reads.take()
    assert collect(runs) == without
    assert len(reads.take()) == NUM_RUNS + 1
    assert collect(runs) == without
    assert reads.take() == []


def test_epochs_that_nobody_asks_for_stay_in_the_index(runs, reads):
    whole = collect_rows([runs], lambda text: None, index=True)
    reads.take()
    short = collect_rows([runs], lambda text: None, index=True, epochs=False)
    assert [row.history for row in short] == [[] for _ in whole]
    assert [row.as_dict() for row in short[:-1]] == [row.as_dict() for row in whole[:-1]]  # the last has a nan
    again = collect_rows([runs], lambda text: None, index=True)
    assert list(map(repr, again)) == list(map(repr, whole))
    assert all(row.history for row in again)
    assert reads.take() == []


def test_only_what_has_changed_is_read_again(runs, reads):
    collect(runs)
    reads.take()
    with open(runs / "mnist-1" / runlog.METRICS_FILE, "a") as file:
        file.write("\n" + runlog.format_event("epoch", epoch=1, epochs=1, loss=9.0) + "\n")
    shutil.rmtree(runs / "mnist-2")
    (runs / "mnist-3").rename(runs / "mnist-9")
    make_run(runs / "mnist-7", loss=7.0)
    rows = collect_rows([runs], lambda text: None, index=True)
    assert reads.take() == ["mnist-1", "mnist-7", "mnist-9"]
    assert {row.run: row.loss for row in rows} == {
        **{"mnist-0": 0.5, "mnist-1": 9.0, "mnist-4": 4.5, "mnist-5": 5.5, "mnist-7": 7.0, "mnist-9": 3.5},
        "job-77": 0.5,
    }
    collect(runs)
    assert reads.take() == ["mnist-1"]  # it was changed a moment ago, and may be once more in that very moment
    with sqlite3.connect(runs / index.NAME) as connection:
        named = {os.fsdecode(name) for (name,) in connection.execute("SELECT run FROM readings")}
    assert not named & {str(runs / "mnist-2"), str(runs / "mnist-3")}


def test_a_file_that_is_replaced_by_one_of_the_same_size_and_time_is_read_again(runs, reads):
    collect(runs)
    metrics = runs / "mnist-1" / runlog.METRICS_FILE
    other = metrics.with_name("other")
    other.write_text(metrics.read_text().replace("1.5", "8.5"))
    os.utime(other, ns=(metrics.stat().st_atime_ns, metrics.stat().st_mtime_ns))
    other.replace(metrics)
    reads.take()
    assert 8.5 in losses(collect_rows([runs], lambda text: None, index=True))


def test_a_run_that_runs_is_asked_anew_each_time(runs):
    with subprocess.Popen([sys.executable, "-c", "input() # hpcdl"], stdin=subprocess.PIPE) as process:
        make_run(runs / "live", 1.0, status="running", pid=process.pid, host=socket.gethostname())
        assert outcome_of(runs, "live") == "running"
        process.kill()
        process.wait()
        assert outcome_of(runs, "live") == "incomplete"


def test_a_run_that_fell_silent_elsewhere_is_asked_anew_each_time(runs):
    make_run(runs / "far", 1.0, status="running", host="elsewhere")
    assert outcome_of(runs, "far") == "incomplete"
    for path in (runs / "far").iterdir():
        os.utime(path)
    assert outcome_of(runs, "far") == "running"


def outcome_of(runs: Path, name: str) -> str:
    return next(row.outcome for row in collect_rows([runs], lambda text: None, index=True) if row.run == name)


def test_other_dialects_and_patterns_read_anew(runs, reads, tmp_path):
    collect(runs)
    dialect = tmp_path / "mine.yaml"
    dialect.write_text("name: mine\nlines:\n  - match: 'loss: (?P<mine>\\S+)'\n")
    reads.take()
    rows = collect_rows([runs], lambda text: None, dialects=[dialect], index=True)
    assert rows[-1].metrics["mine"] == 0.5
    rows = collect_rows([runs], lambda text: None, pattern="(?P<run>job)_(?P<stream>out|err)", index=True)
    assert rows[-1].run == "job"


def test_another_version_of_the_reader_reads_anew(runs, reads, monkeypatch):
    collect(runs)
    reads.take()
    monkeypatch.setattr(index, "_code", lambda: b"another")
    collect(runs)
    assert len(reads.take()) == NUM_RUNS + 1


def garbage(path: Path) -> None:
    path.write_bytes(b"garbage" * 1000)


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def another_schema(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE readings (run, other)")


def damaged_reading(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE readings SET reading = substr(reading, 1, 20)")


def foreign_reading(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute('UPDATE readings SET reading = \'[[{"evidence": null, "no_such": 1}], []]\'')


@pytest.mark.parametrize("damage", [garbage, truncated, another_schema, damaged_reading, foreign_reading])
def test_a_damaged_index_is_made_anew_and_said_so_once(runs, reads, damage):
    rows, warnings = collect(runs)
    damage(runs / index.NAME)
    reads.take()
    again, told = collect(runs)
    assert again == rows
    assert [text for text in told if text not in warnings] == [
        f"{runs / index.NAME}: the index is damaged; it is made anew, and the runs are read again"
    ]
    assert len(reads.take()) == NUM_RUNS + 1
    assert collect(runs) == (rows, warnings)
    assert reads.take() == []


def test_where_no_index_can_be_written_it_lies_in_the_users_cache(runs, reads, tmp_path):
    (runs / index.NAME).mkdir()
    collect(runs)
    reads.take()
    collect(runs)
    assert reads.take() == []
    assert len(list((tmp_path / "cache" / "hpcdl" / "index").glob("*.sqlite"))) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_stays_as_it_is(runs, reads):
    runs.chmod(0o500)
    collect(runs)
    reads.take()
    collect(runs)
    assert reads.take() == []
    runs.chmod(0o700)
    assert not (runs / index.NAME).exists()


def test_where_no_index_can_be_kept_at_all_the_runs_are_read(runs, tmp_path):
    (runs / index.NAME).mkdir()
    (tmp_path / "cache").write_text("a file where a folder should be")
    rows, warnings = collect(runs)
    assert rows == collect(runs, index=False)[0]
    assert f"{runs}: no index can be kept there" in warnings[0]


def test_a_locked_index_is_no_reason_to_fail(runs, monkeypatch):
    monkeypatch.setattr(index, "BUSY_S", 0.05)
    rows, warnings = collect(runs)
    connection = sqlite3.connect(runs / index.NAME, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    assert collect(runs) == (rows, warnings)
    connection.close()


def test_a_few_runs_leave_no_index(runs, monkeypatch):
    monkeypatch.setattr(index, "WORTH_RUNS", 100)
    collect(runs)
    assert not (runs / index.NAME).exists()


def test_single_runs_share_the_index_of_their_folder(runs, reads):
    collect(runs)
    reads.take()
    collect(*sorted(runs.glob("mnist-*")))
    assert reads.take() == []


def test_names_that_are_no_text_are_indexed(runs, reads):
    make_run(Path(os.fsdecode(os.fsencode(runs) + b"/m\xfc")), 1.0)
    rows = collect(runs)
    reads.take()
    assert collect(runs) == rows
    assert reads.take() == []


COLLECTOR = """
import sys
from hpcdl.collector import collect_rows, index
index.WORTH_RUNS = 1
index.BATCH = 1
for _ in range(10):
    rows = collect_rows(sys.argv[1:], lambda text: None, index=True)
print(len(rows))
"""


def test_two_collectors_at_once_lose_nothing(runs, reads):
    """Each notes its half of the runs, run by run; then all are known, and nobody failed."""
    halves = [[runs / f"mnist-{number}" for number in range(NUM_RUNS) if number % 2 == half] for half in range(2)]
    commands = [[sys.executable, "-c", COLLECTOR, *map(str, half)] for half in halves]
    collectors = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for command in commands]
    for collector in collectors:
        out, err = collector.communicate()
        assert (out.split(), err) == ([b"3"], b"")
    collect(*halves[0], *halves[1])
    assert reads.take() == []
