"""The folder of a run and its record."""

import json
import subprocess
from pathlib import Path

import pytest

from hpcdl.job import load_job
from hpcdl.run import record
from hpcdl.run.folder import JOB_FILE, make_run_folder

JOBS = Path(__file__).parents[1] / "jobs"


@pytest.mark.parametrize("path", sorted(set(JOBS.glob("*.yaml")) - {JOBS / "chain.yaml"}), ids=lambda path: path.name)
def test_the_folder_keeps_the_job_as_it_is_run(tmp_path, path):
    job = load_job(path)
    folder, run_id = make_run_folder(tmp_path / "runs", job)
    assert folder == tmp_path / "runs" / f"{job.name}-{run_id}"
    assert load_job(folder / JOB_FILE).digest == job.digest


def test_two_runs_of_the_same_second_get_folders_of_their_own(tmp_path):
    job = load_job(JOBS / "mnist.yaml")
    folders = {make_run_folder(tmp_path, job)[0] for _ in range(5)}
    assert len(folders) == 5


def test_a_requeued_job_goes_on_in_its_folder(tmp_path):
    job = load_job(JOBS / "mnist.yaml")
    assert make_run_folder(tmp_path, job, "1234") == make_run_folder(tmp_path, job, "1234")


def test_a_record_starts_complete_and_keeps_what_is_known(tmp_path):
    record.create(tmp_path, name="x", ranks=2)
    first = record.read(tmp_path)
    assert list(first) == record.FIELDS
    assert first["exit_code"] is None
    assert first["status"] == "running"
    record.update(tmp_path, status="success", exit_code=0)
    assert record.read(tmp_path) == {**first, "status": "success", "exit_code": 0}
    (tmp_path / record.RECORD_FILE).write_text("[]")
    with pytest.raises(ValueError, match="not a JSON object"):
        record.read(tmp_path)


def test_the_commit_of_the_working_folder_is_known_where_there_is_one(tmp_path):
    assert record.git_state(tmp_path) is None

    def git(*arguments):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments], cwd=tmp_path, check=True
        )

    git("init", "-q")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-qm", "one")
    state = record.git_state(tmp_path)
    assert state is not None
    assert len(state["commit"]) == 40
    assert state["dirty"] is False
    (tmp_path / "a").write_text("2")
    assert record.git_state(tmp_path)["dirty"] is True
    json.dumps(state)
