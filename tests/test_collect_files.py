"""Which files are a run, and what is done with those that are none."""

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from random import Random

import pytest
import zstandard
from typer.testing import CliRunner

from hpcdl.cli import app
from hpcdl.collector import Row, collect_rows
from hpcdl.errors import CollectError

DONE = "Epoch 1/1\n10/10 - 3s - loss: 0.5 - acc: 0.9\n"
ERROR = 'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\nKeyError: 1\n'


def rows_of(*paths: Path | str, pattern: str | None = None) -> tuple[list[Row], list[str]]:
    warnings: list[str] = []
    return collect_rows(paths, warnings.append, pattern), warnings


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(ERROR if any(mark in name for mark in ("err", ".e")) else DONE)


@pytest.mark.parametrize(
    ("out", "err", "run", "job_id"),
    [
        ("mnist_out.1234", "mnist_err.1234", "mnist-1234", "1234"),
        ("slurm-77.out", "slurm-77.err", "slurm-77", "77"),
        ("train_77_3.out", "train_77_3.err", "train-77_3", "77_3"),
        ("KERAS_CNN.o1179880", "KERAS_CNN.e1179880", "KERAS_CNN-1179880", "1179880"),
        ("job.o12-4", "job.e12-4", "job-12-4", "12_4"),
        ("train.out", "train.err", "train", None),
        ("unet-stdout.log", "unet-stderr.log", "unet", None),
        ("123.out", "123.err", "123", "123"),
        ("a/stdout", "a/stderr", "a", None),
        ("rank.0/stdout", "rank.0/stderr", None, None),
    ],
)
def test_out_and_err_are_one_run(tmp_path, out, err, run, job_id):
    make(tmp_path, err, out)
    (row,), warnings = rows_of(tmp_path)
    assert (row.run, row.job_id, row.outcome) == (run or tmp_path.name, job_id, "crash_after_training")
    assert [Path(name).name for name in row.files] == [Path(out).name, Path(err).name]
    assert warnings == []


def test_tasks_of_an_array_and_jobs_are_runs_of_their_own(tmp_path):
    make(
        tmp_path,
        "slurm-7_1.out",
        "slurm-7_2.out",
        "slurm-8.out",
        "other_out.7",
        "nohup.out",
        "result_1.txt",
        "n64_tf115.log",
    )
    rows, _ = rows_of(tmp_path)
    assert [row.run for row in rows] == [
        "n64_tf115",
        "nohup",
        "other-7",
        "result_1",
        "slurm-7_1",
        "slurm-7_2",
        "slurm-8",
    ]


def test_the_same_names_in_two_folders_are_two_runs(tmp_path):
    make(tmp_path, "a/slurm-7.out", "b/slurm-7.out")
    assert len(rows_of(tmp_path)[0]) == 2


def test_a_pattern_of_ones_own(tmp_path):
    make(tmp_path, "022_unet-stdout.log", "023_unet-stderr.log", "other.log")
    (row,), _ = rows_of(tmp_path, pattern=r"\d+_(?P<run>\w+)-(?P<stream>stdout|stderr)")
    assert (row.run, row.outcome) == ("unet", "crash_after_training")


@pytest.mark.parametrize(
    ("pattern", "fault"), [("(", "no regular expression"), (r"\d+", "no group for the run's name")]
)
def test_a_wrong_pattern_is_refused(tmp_path, pattern, fault):
    with pytest.raises(CollectError, match=fault):
        rows_of(tmp_path, pattern=pattern)


def test_a_pattern_that_never_ends_is_given_up(tmp_path):
    make(tmp_path, "a" * 60 + "!.log", "b.log")
    rows, warnings = rows_of(tmp_path, pattern=r"(?P<run>(a|aa)+$|b)")
    assert ([row.run for row in rows], len(warnings)) == (["b"], 1)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_compressed_logs(tmp_path, compress):
    (tmp_path / "slurm-7.out.gz").write_bytes(compress(DONE.encode()))
    (row,), _ = rows_of(tmp_path)
    assert (row.run, row.outcome, row.epochs_done) == ("slurm-7", "completed", 1)


@pytest.mark.parametrize(
    "compress", [gzip.compress, bz2.compress, partial(lzma.compress, preset=0), zstandard.compress]
)
def test_a_cut_archive_is_read_as_far_as_it_goes(tmp_path, compress):
    random = Random(1)
    noise = "".join(random.randbytes(250).hex() + "\n" for _ in range(5000))  # bzip2 writes blocks of 900 kB
    data = compress((noise + DONE).encode())
    (tmp_path / "cut.log").write_bytes(data[: len(data) // 2])
    make(tmp_path, "good.log")
    rows, warnings = rows_of(tmp_path)
    assert [row.outcome for row in rows] == ["unknown", "completed"]
    assert len(warnings) <= 1  # a cut zstd frame is an end like any other


@pytest.mark.parametrize(
    "data", [b"\x7fELF\x02\x01" + bytes(range(256)), b"\x89HDF\r\n\x1a\n", bytes(range(1, 32)) * 99, b"PK\x03\x04"]
)
def test_binary_data_is_no_log(tmp_path, data):
    (tmp_path / "core.log").write_bytes(data)
    make(tmp_path, "good.log")
    rows, warnings = rows_of(tmp_path)
    assert [row.run for row in rows] == ["good"]
    assert len(warnings) == 1
    assert "no log" in warnings[0]


def test_empty_missing_and_unreadable_files_cost_one_warning_each(tmp_path):
    make(tmp_path, "good.log", "secret.log")
    (tmp_path / "empty.log").touch()
    (tmp_path / "dangling.log").symlink_to("nowhere")
    (tmp_path / "secret.log").chmod(0)
    rows, warnings = rows_of(tmp_path, tmp_path / "missing.log")
    readable = os.access(tmp_path / "secret.log", os.R_OK)  # root reads everything
    assert sorted(row.run for row in rows) == ["empty", "good"] + ["secret"] * readable
    assert len(warnings) == 3 - readable


def test_folders_that_loop_end(tmp_path):
    make(tmp_path, "a/slurm-7.out")
    (tmp_path / "a" / "b").symlink_to(tmp_path)
    assert len(rows_of(tmp_path)[0]) == 1


def test_globs_and_repeated_paths(tmp_path):
    make(tmp_path, "slurm-7.out", "slurm-8.out")
    assert len(rows_of(tmp_path / "slurm-*.out", tmp_path / "slurm-7.out")[0]) == 2


def test_a_file_that_shrinks_while_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "job.log"
    path.write_text(DONE + "x\n" * 2_000_000)

    class Shrinking(io.FileIO):
        def readinto(self, buffer):
            got = super().readinto(buffer)
            os.truncate(path, 100)
            return got

    monkeypatch.setattr(
        "hpcdl.collector.opening.open", lambda name, mode, closefd: io.BufferedReader(Shrinking(name)), raising=False
    )
    (row,), _ = rows_of(path)
    assert row.epochs_done == 1


def test_standard_input():
    command = [sys.executable, "-m", "hpcdl", "collect", "-", "--format", "markdown"]
    result = subprocess.run(command, input=DONE, capture_output=True, text=True, check=True)
    assert "| stdin | - | 1/1 |" in result.stdout


def test_a_pipe_that_closes_early_is_no_traceback(tmp_path):
    make(tmp_path, *(f"slurm-{number}.out" for number in range(10, 60)))
    command = f"{sys.executable} -m hpcdl collect {tmp_path} --format json | head -c 10"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in result.stderr


def test_explain_shows_what_was_recognised_and_what_not(tmp_path):
    (tmp_path / "job.log").write_text("nothing of note\n" + DONE + "\x1b[31msome more\n")
    result = CliRunner().invoke(app, ["collect", "--explain", str(tmp_path / "job.log")])
    assert result.exit_code == 0
    for text in (
        "(1 line not recognised)",
        "      2 Epoch 1/1",
        "-> keras: EpochStart epoch=1, epochs=1",
        "epochs_done: 1",
    ):
        assert text in result.stdout
    assert "\x1b" not in result.stdout


def test_nothing_to_collect_is_one_sentence(tmp_path):
    for arguments in ([], [str(tmp_path / "missing")], ["--explain", str(tmp_path / "missing")]):
        result = subprocess.run(
            [sys.executable, "-m", "hpcdl", "collect", *arguments], capture_output=True, text=True, check=False
        )
        assert result.returncode == 2
        assert "Traceback" not in result.stderr
        assert "error: " in result.stderr
