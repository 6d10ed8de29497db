"""`hpcdl collect --watch` follows a run until it has ended."""

import subprocess
import sys

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


def test_watch_ends_with_the_table_when_the_run_ends(tmp_path):
    folder = make_run(tmp_path, "mnist-1")
    whole = (folder / runlog.METRICS_FILE).read_text().splitlines(keepends=True)
    (folder / runlog.METRICS_FILE).write_text("".join(whole[:2]))
    with subprocess.Popen([sys.executable, "-c", "input()", "hpcdl"], stdin=subprocess.PIPE) as trainer:
        record.update(folder, status="running", exit_code=None, pid=trainer.pid)
        command = [sys.executable, "-m", "hpcdl", "collect", str(tmp_path), "--watch", "--interval", "0.1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
            assert watching.stdout is not None
            assert "mnist-1: running, epochs 1/3" in watching.stdout.readline()
            with open(folder / runlog.METRICS_FILE, "a") as file:
                file.write(whole[2])
            assert "mnist-1: running, epochs 2/3" in watching.stdout.readline()
            with open(folder / runlog.METRICS_FILE, "a") as file:
                file.write("".join(whole[3:]))
            record.update(folder, status="success", exit_code=0)
            rest = watching.stdout.read()
            assert "mnist-1: completed, epochs 3/3" in rest
            assert rest.rstrip().splitlines()[-1].startswith("mnist-1 ")
            assert watching.wait() == 0
        trainer.communicate(b"\n")
