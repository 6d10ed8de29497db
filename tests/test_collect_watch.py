"""`hpcdl collect --watch` follows a run until it has ended."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_folders import make_run

from hpcdl import runlog
from hpcdl.collector import Row
from hpcdl.collector.watch import changes
from hpcdl.run import record


def test_a_line_for_each_change_and_none_without():
    told: dict[str, str] = {}
    row = Row("a\x1b", files=["a"], outcome="running", epochs_done=1, epochs_planned=3, loss=0.5)
    (line,) = changes([row], told)
    assert line[8:] == " a<1b>: running, epochs 1/3, loss 0.5000"
    assert list(changes([row], told)) == []
    row.epochs_done = 2
    assert "epochs 2/3" in next(changes([row], told))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Path, list[str]]]:
    """The folder of a run whose trainer lives, with one epoch in its metrics; and the lines that are still to come."""
    folder = make_run(tmp_path, "mnist-1", expect={"test_accuracy": ">= 0.9"})
    whole = (folder / runlog.METRICS_FILE).read_text().splitlines(keepends=True)
    (folder / runlog.METRICS_FILE).write_text("".join(whole[:2]))
    with subprocess.Popen([sys.executable, "-c", "input()", "hpcdl"], stdin=subprocess.PIPE) as trainer:
        record.update(folder, status="running", exit_code=None, pid=trainer.pid)
        yield folder, whole[2:]
        trainer.communicate(b"\n")


def append(folder: Path, *lines: str) -> None:
    with open(folder / runlog.METRICS_FILE, "a") as file:
        file.write("".join(lines))


def command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "hpcdl", "collect", str(folder), "--watch", "--interval", "0.1"]


def test_watch_tells_each_change_and_ends_with_the_table_when_the_run_ends(running):
    folder, more = running
    with subprocess.Popen(command(folder.parent), stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        assert "mnist-1: running, epochs 1/3" in watching.stdout.readline()
        append(folder, more[0])
        assert "mnist-1: running, epochs 2/3" in watching.stdout.readline()
        append(folder, *more[1:])
        record.update(folder, status="success", exit_code=0)
        rest = watching.stdout.read()
        assert "mnist-1: completed, epochs 3/3" in rest
        assert rest.rstrip().splitlines()[-1].startswith("mnist-1 ")
        assert watching.wait() == 0


def test_watch_redraws_the_table_on_a_terminal(running):
    folder, more = running
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "100", "TERM": "xterm"}
    with subprocess.Popen(command(folder.parent), stdout=theirs, stdin=theirs, env=environment) as watching:
        os.close(theirs)
        shown = read_until(ours, "1/3")
        assert "missed" not in shown, "a running run has missed nothing"
        append(folder, more[0])
        shown = read_until(ours, "2/3")
        assert "\x1b[1A" in shown, "the table is drawn over the old one"
        append(folder, *more[1:])
        record.update(folder, status="success", exit_code=0)
        assert "met" in read_until(ours, "completed  met")
        assert watching.wait() == 0
    os.close(ours)


def read_until(terminal: int, text: str) -> str:
    """Return what is written to the terminal until `text` comes; without it the end of the program ends the wait."""
    shown = ""
    while text not in shown:
        shown += os.read(terminal, 4096).decode()
    return shown
