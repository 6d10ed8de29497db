"""The records that a batch script writes of its own attempts, and their reader."""

import json

import pytest

from hpcdl.run.attempts import ATTEMPTS_FOLDER, read_attempts

START = {
    "schema": 1,
    "job_id": "123_4",
    "slurm_job_id": "127",
    "restart": 0,
    "host": "jrc0001",
    "nodes": "jrc[0001-0002]",
    "ntasks": 8,
    "cluster": None,
    "started": "2026-11-20T12:00:00+00:00",
}
EXIT = {
    "schema": 1,
    "job_id": "123_4",
    "restart": 0,
    "exit_code": 75,
    "signal": "USR1",
    "ended": "2026-11-20T13:00:00+00:00",
    "decision": "requeued",
    "reason": None,
}


def write(folder, kind, record, name=None):
    attempts = folder / ATTEMPTS_FOLDER
    attempts.mkdir(exist_ok=True)
    text = record if isinstance(record, str) else json.dumps(record)
    (attempts / (name or f"{record['job_id']}.{record['restart']}.{kind}.json")).write_text(text)


def test_a_run_that_has_not_begun_has_no_attempts(tmp_path):
    assert read_attempts(tmp_path) == []


def test_attempts_come_in_the_order_of_time_with_both_records(tmp_path):
    second = {"restart": 1, "started": "2026-11-20T13:05:00+00:00"}
    later_job = {"job_id": "99", "started": "2026-11-21T08:00:00+00:00"}
    for start in (START | later_job, START | second, START):
        write(tmp_path, "start", start)
    write(tmp_path, "exit", EXIT)
    attempts = read_attempts(tmp_path)
    assert [(attempt.job_id, attempt.restart) for attempt in attempts] == [("123_4", 0), ("123_4", 1), ("99", 0)]
    assert attempts[0].start.nodes == "jrc[0001-0002]"
    assert (attempts[0].exit.decision, attempts[0].exit.exit_code) == ("requeued", 75)
    assert attempts[1].exit is None


@pytest.mark.parametrize(
    "text",
    ["", json.dumps(EXIT)[:40], "[]", "null", "\0", json.dumps(EXIT | {"schema": 2})]
    + [json.dumps(EXIT | change) for change in ({"decision": "won"}, {"exit_code": "0"}, {"exit_code": 256})],
)
def test_a_torn_or_foreign_file_counts_as_absent(tmp_path, text):
    write(tmp_path, "start", START)
    write(tmp_path, "exit", text, "123_4.0.exit.json")
    (attempt,) = read_attempts(tmp_path)
    assert (attempt.job_id, attempt.restart, attempt.exit) == ("123_4", 0, None)


def test_an_exit_alone_is_an_attempt_too(tmp_path):
    write(tmp_path, "start", "", "123_4.0.start.json")
    write(tmp_path, "exit", EXIT)
    (attempt,) = read_attempts(tmp_path)
    assert (attempt.start, attempt.job_id, attempt.restart) == (None, "123_4", 0)
