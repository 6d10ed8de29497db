"""Slurm's accounting joined to the rows, by a stand-in for sacct: what the real one prints cannot be had in a test."""

from pathlib import Path

import pytest

from hpcdl.collector import Row
from hpcdl.collector.sacct import join, parse

ANSWER = """\
7|COMPLETED|0:0|70||1200
7.batch|COMPLETED|0:0|70|512000K|
7.0|COMPLETED|0:0|60|2G|
8|CANCELLED by 1000|0:15|5||
9|TIMEOUT|0:0|3600||
10|FAILED|0:53|1||
11|RUNNING|0:0|9||
odd line
"""


@pytest.fixture
def sacct(tmp_path, monkeypatch):
    """Put a program named sacct first on the PATH; it notes its arguments and prints the text it is given."""

    def install(answer: str, exit_code: int = 0) -> Path:
        (tmp_path / "answer").write_text(answer)
        program = tmp_path / "sacct"
        program.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/asked"\ncat "{tmp_path}/answer"\nexit {exit_code}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        return tmp_path / "asked"

    return install


def rows() -> list[Row]:
    return [
        Row("a", job_id="7", outcome="incomplete", cause="?"),
        Row("b", job_id="8", outcome="completed"),
        Row("c", job_id="9", outcome="crash", cause="KeyError: 1"),
        Row("d", job_id="10"),
        Row("e", job_id="11"),
        Row("f", job_id="12", outcome="incomplete"),
        Row("g", job_id="7; touch x"),
        Row("h", job_id="8881943", scheduler="pbs"),
    ]


def test_one_call_for_all_jobs(sacct):
    asked = sacct(ANSWER)
    found = rows()
    join(found, pytest.fail)
    assert len(asked.read_text().splitlines()) == 1
    assert "--jobs=7,8,9,10,11,12" in asked.read_text()
    assert [row.outcome for row in found[:6]] == [
        "completed",
        "cancelled",
        "crash",
        "launch_failure",
        "running",
        "incomplete",
    ]
    assert (found[0].time_s, found[0].metrics) == (70, {"max_rss_kib": 2 * 1024**2, "energy_j": 1200})
    assert found[2].notes == ["Slurm's accounting says TIMEOUT, exit code 0:0"]
    assert found[2].cause == "KeyError: 1"


def test_without_sacct_nothing_happens(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    found = rows()
    join(found, pytest.fail)
    assert found == rows()


def test_an_sacct_that_fails_costs_a_warning(sacct):
    sacct("", exit_code=1)
    warnings: list[str] = []
    found = rows()
    join(found, warnings.append)
    assert found == rows()
    assert len(warnings) == 1


def test_memory_in_every_unit():
    jobs = parse("1.0|COMPLETED|0:0|1|1.5M|\n2.0|COMPLETED|0:0|1|1048576|\n3.0|COMPLETED|0:0|1|odd|\n")
    assert [job.max_rss_kib for job in jobs.values()] == [1536, 1024, None]
