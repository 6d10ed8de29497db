"""Files on the node's own disk: whole or not there, copied once."""

import os
import subprocess
import sys
from collections import namedtuple

import pytest

from hpcdl.errors import DataError
from hpcdl.train import staging
from hpcdl.train.staging import scratch_folder, stage_files


@pytest.fixture
def source(tmp_path):
    """A folder with two files, one of them below another folder."""
    folder = tmp_path / "source" / "shards"
    (folder / "train").mkdir(parents=True)
    (folder / "index.npz").write_bytes(b"index")
    (folder / "train" / "0.tfrecord").write_bytes(os.urandom(3_000_000))
    return folder


@pytest.fixture
def scratch(tmp_path):
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_and_a_file_are_copied_once(source, scratch, monkeypatch):
    staged = stage_files(source, scratch)
    assert staged.name == "shards"
    assert content(staged) == content(source)
    file = stage_files(source / "index.npz", scratch)
    assert file.read_bytes() == b"index"
    monkeypatch.setattr(staging, "_copy", None)  # a second copy would fail
    assert stage_files(source, scratch) == staged
    assert stage_files(source / "index.npz", scratch) == file


def test_changed_data_are_copied_anew(source, scratch):
    first = stage_files(source, scratch)
    (source / "index.npz").write_bytes(b"INDEX")
    second = stage_files(source, scratch)
    assert first != second
    assert (second / "index.npz").read_bytes() == b"INDEX"


def test_what_a_clean_up_has_left_of_a_copy_is_completed(source, scratch):
    (stage_files(source, scratch) / "index.npz").unlink()
    assert content(stage_files(source, scratch)) == content(source)


KILLED = """
import os, pathlib, sys
from hpcdl.train import staging
copy = staging._copy
def copy_and_die(source, target):
    copy(source, target)
    os.kill(os.getpid(), 9)
staging._copy = copy_and_die
staging.stage_files(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
"""


def test_a_kill_in_the_middle_leaves_nothing_that_looks_whole(source, scratch):
    ended = subprocess.run([sys.executable, "-c", KILLED, str(source), str(scratch)])
    assert ended.returncode == -9
    assert [path.name for path in scratch.iterdir() if not path.name.startswith(".")] == []
    assert content(stage_files(source, scratch)) == content(source)
    assert len(list(scratch.iterdir())) == 1, "what the dead process left is gone"


def test_no_room_is_said_and_nothing_is_left(source, scratch, monkeypatch):
    monkeypatch.setattr(staging.shutil, "disk_usage", lambda folder: namedtuple("Usage", "free")(9))
    with pytest.raises(DataError, match=r"3000005 bytes are needed for .*shards, but 9 are free"):
        stage_files(source, scratch)
    assert list(scratch.iterdir()) == []


def test_a_disk_that_fills_meanwhile_is_one_sentence_and_nothing_is_left(source, scratch, monkeypatch):
    def full(source, target):
        target.write_bytes(b"part")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(staging, "_copy", full)
    with pytest.raises(DataError, match=r"shards cannot be copied there \(No space left on device\)"):
        stage_files(source, scratch)
    assert list(scratch.iterdir()) == []


def test_another_run_that_was_faster_is_no_fault(source, scratch, monkeypatch):
    rename = os.rename

    def after_another(temporary, target):
        if not target.exists():
            staging.shutil.copytree(temporary, target)
        rename(temporary, target)

    monkeypatch.setattr(staging.os, "rename", after_another)
    assert content(stage_files(source, scratch)) == content(source)
    assert len(list(scratch.iterdir())) == 1


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("HPCDL_SCRATCH", "SLURM_TMPDIR", "TMPDIR"), "HPCDL_SCRATCH"),
        (("SLURM_TMPDIR", "TMPDIR"), "SLURM_TMPDIR"),
        (("TMPDIR",), "TMPDIR"),
    ],
)
def test_the_disk_is_found_by_its_variables_in_order(tmp_path, names, expected):
    for name in names:
        (tmp_path / name).mkdir()
    assert scratch_folder({name: str(tmp_path / name) for name in names}) == tmp_path / expected


@pytest.mark.parametrize("environment", [{}, {"HPCDL_SCRATCH": "/no/such/folder"}])
def test_no_disk_is_refused(environment):
    with pytest.raises(DataError, match=r"train\.data\.stage: .*HPCDL_SCRATCH.*leave stage out"):
        scratch_folder(environment)
