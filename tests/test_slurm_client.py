"""Slurm's programs called: what they answer, how often they are called, and what a lost answer leads to.

The programs are small stand-ins that say what the real ones said (22.05); tests/slurm/ has the real ones.
"""

from pathlib import Path

import pytest

from hpcdl.slurm.answers import expand, read_sacct, read_scontrol, read_squeue
from hpcdl.slurm.client import Slurm, SlurmError, SlurmUnanswered, clean_environment

TIMED_OUT = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"
NO_CONTACT = "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)"
AGAIN = "sbatch: error: Batch job submission failed: Resource temporarily unavailable"

SQUEUE = """\
4|FAILED|JobLaunchFailure|0:00|UNLIMITED|2026-11-20T20:56:56|2026-11-20T20:56:56|node01|/runs/a-1/job.sbatch
1_[1-3%1]|PENDING|JobArrayTaskLimit|0:00|1:00:00|N/A|N/A||/runs/b|c/job.sbatch
1_0|RUNNING|None|0:03|1:00:00|2026-11-20T20:56:56|2026-11-20T21:56:56|node01|/runs/b|c/job.sbatch
"""
SACCT = """\
1_0|CANCELLED by 0|0:0|00:00:04|01:00:00|2026-11-20T20:56:56|2026-11-20T20:57:00|node01
1_0.batch|CANCELLED|0:15|00:00:04||2026-11-20T20:56:56|2026-11-20T20:57:00|node01
1_[1-3%1]|PENDING|0:0|00:00:00|01:00:00|Unknown|Unknown|None assigned
5|FAILED|1:0|00:00:04|01:00:00|2026-11-20T20:56:56|2026-11-20T20:57:00|node01
5.0|OUT_OF_MEMORY|0:125|00:00:04||2026-11-20T20:56:56|2026-11-20T20:57:00|node01
6|OUT_OF_ME+|0:125|00:00:04|01:00:00|2026-11-20T20:56:56|2026-11-20T20:57:00|node01
"""
SCONTROL = (
    "JobId=3 ArrayJobId=1 ArrayTaskId=0 JobName=a b UserId=user(1000) JobState=FAILED Reason=NonZeroExitCode "
    "Dependency=(null) ExitCode=3:0 RunTime=00:00:04 TimeLimit=01:00:00 StartTime=2026-11-20T20:56:56 "
    "EndTime=2026-11-20T20:57:00 NodeList=node01 Command=/runs/my run/job.sbatch WorkDir=/runs\n"
)


class Programs:
    """A folder of stand-ins on the PATH. What each was called with is kept."""

    def __init__(self, folder: Path):
        self.folder = folder

    def put(self, name: str, body: str) -> None:
        """`body` is bash with nothing but builtins; $n counts the calls from 1."""
        path = self.folder / name
        count = f'n=0; [ -e "{path}.calls" ] && while read -r _; do n=$((n+1)); done < "{path}.calls"; n=$((n+1))'
        path.write_text(f'#!/bin/bash\n{count}\necho "$*" >> "{path}.calls"\n{body}\n')
        path.chmod(0o755)

    def calls(self, name: str) -> list[str]:
        path = self.folder / f"{name}.calls"
        return path.read_text().splitlines() if path.exists() else []

    def slurm(self, tries: int = 3, **variables: str) -> Slurm:
        self.slept: list[float] = []
        environ = {"PATH": str(self.folder), **variables}
        return Slurm(environ, waits_s=(1,) * (tries - 1), sleep=self.slept.append)


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    (tmp_path / "bin").mkdir()
    return Programs(tmp_path / "bin")


@pytest.fixture
def script(tmp_path: Path) -> Path:
    return tmp_path / "my runs" / "job.sbatch"


@pytest.mark.parametrize(
    ("said", "job_id", "cluster"),
    [("12", "12", None), ("12;genius", "12", "genius"), ("Welcome!\n 3 jobs left\n12", "12", None)],
)
def test_the_id_is_read_whatever_the_site_prints_before_it(programs, script, said, job_id, cluster):
    programs.put("sbatch", f"printf '%s\\n' {said!r}" if "\n" not in said else f"echo -e {said!r}")
    submitted = programs.slurm().submit(script, ["--array=3,7"])
    assert (submitted.job_id, submitted.cluster) == (job_id, cluster)
    assert programs.calls("sbatch") == [f"--parsable --array=3,7 {script}"]


def test_a_refusal_is_told_at_once_and_nothing_is_tried_again(programs, script):
    programs.put(
        "sbatch", "echo 'sbatch: error: Batch job submission failed: Invalid partition name specified' >&2; exit 1"
    )
    with pytest.raises(SlurmError, match=r"sbatch refused the job: .*Invalid partition name specified"):
        programs.slurm().submit(script)
    assert len(programs.calls("sbatch")) == 1


@pytest.mark.parametrize("complaint", [NO_CONTACT, AGAIN])
def test_a_busy_controller_is_tried_again(programs, script, complaint):
    programs.put("sbatch", f'[ $n -lt 3 ] && {{ echo "{complaint}" >&2; exit 1; }}; echo 12')
    assert programs.slurm().submit(script).job_id == "12"
    assert len(programs.calls("sbatch")) == 3
    assert programs.calls("squeue") == []  # it never arrived, so there is nothing to look for


def test_a_controller_that_stays_away_is_one_sentence(programs, script):
    programs.put("sbatch", f'echo "{NO_CONTACT}" >&2; exit 1')
    with pytest.raises(SlurmError, match="Nothing was submitted; try again later") as error:
        programs.slurm().submit(script)
    assert not isinstance(error.value, SlurmUnanswered)
    assert len(programs.calls("sbatch")) == 3


@pytest.mark.parametrize("answer", [f'echo "{TIMED_OUT}" >&2; exit 1', "exit 0", "echo; exit 0"])
def test_a_lost_answer_makes_no_second_job(programs, script, answer):
    programs.put("sbatch", answer)
    programs.put("squeue", f"echo '11|/other/job.sbatch'; echo '12|{script}'")
    assert programs.slurm().submit(script).job_id == "12"
    assert len(programs.calls("sbatch")) == 1
    assert programs.slept == [10]  # the controller may take it after its answer was given up


def test_the_components_of_a_heterogeneous_job_are_not_taken_for_second_jobs(programs, script):
    """Cancelling one of them would end the job."""
    programs.put("sbatch", f'[ $n -lt 2 ] && {{ echo "{TIMED_OUT}" >&2; exit 1; }}; echo 12')
    programs.put("squeue", f"[ $n -lt 2 ] || {{ echo '12+1|{script}'; echo '12+0|{script}'; }}")
    programs.put("scancel", "true")
    assert programs.slurm().submit(script).job_id == "12"
    assert programs.calls("scancel") == []
    assert "%i|%o" in programs.calls("squeue")[0]  # %F would be 12 and 13


def test_a_request_that_was_lost_is_sent_again_once_the_controller_says_that_there_is_no_job(programs, script):
    programs.put("sbatch", f'[ $n -lt 2 ] && {{ echo "{TIMED_OUT}" >&2; exit 1; }}; echo 13')
    programs.put("squeue", "echo '11|/other/job.sbatch'")
    assert programs.slurm().submit(script).job_id == "13"
    assert len(programs.calls("sbatch")) == 2


def test_of_two_jobs_that_a_late_request_made_the_first_stays(programs, script):
    programs.put("sbatch", f'[ $n -lt 2 ] && {{ echo "{TIMED_OUT}" >&2; exit 1; }}; echo 13')
    programs.put("squeue", f"[ $n -lt 2 ] || {{ echo '12|{script}'; echo '13|{script}'; }}")
    programs.put("scancel", "true")
    assert programs.slurm().submit(script).job_id == "12"
    assert programs.calls("scancel") == ["13"]


def test_nothing_is_sent_again_while_nobody_says_whether_it_was_taken(programs, script):
    programs.put("sbatch", f'echo "{TIMED_OUT}" >&2; exit 1')
    programs.put(
        "squeue", 'echo "slurm_load_jobs error: Unable to contact slurm controller (connect failure)" >&2; exit 1'
    )
    with pytest.raises(SlurmUnanswered):
        programs.slurm().submit(script)
    assert len(programs.calls("sbatch")) == 1


def test_without_sbatch_the_sentence_says_so(programs, script):
    with pytest.raises(SlurmError, match="sbatch is not on the PATH"):
        programs.slurm().submit(script)


def test_one_call_of_squeue_and_of_sacct_for_many_jobs(programs):
    programs.put("squeue", "true")
    programs.put("sacct", "true")
    slurm = programs.slurm()
    ids = [*map(str, range(1, 500)), *(f"1000_{task}" for task in range(500))]
    assert slurm.queue(ids) == {}
    assert slurm.accounting(ids) == {}
    assert [call.count(",") for call in programs.calls("squeue")] == [499]
    assert len(programs.calls("sacct")) == 1
    assert slurm.queue([]) == {}
    assert len(programs.calls("squeue")) == 1


def test_an_unknown_job_is_an_answer_and_a_dead_controller_is_none(programs):
    programs.put("squeue", 'echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1')
    assert programs.slurm().queue(["7"]) == {}
    programs.put("squeue", 'echo "slurm_load_jobs error: Unable to contact slurm controller" >&2; exit 1')
    assert programs.slurm().queue(["7"]) is None
    assert programs.slept == [1, 1]
    assert Programs(programs.folder / "none").slurm().queue(["7"]) is None
    assert programs.slurm().accounting(["7"]) is None


def test_what_a_job_left_in_the_environment_is_dropped_and_named(programs, script):
    programs.put(
        "sbatch", 'declare -px >&2; [ -z "$SLURM_JOB_ID$SBATCH_QOS$PMIX_RANK$OMPI_COMM_WORLD_RANK" ] && echo 1'
    )
    leaked = {"SLURM_JOB_ID": "1", "SBATCH_QOS": "x", "PMIX_RANK": "0", "OMPI_COMM_WORLD_RANK": "0"}
    slurm = programs.slurm(SLURM_CONF="/etc/mine", OMPI_MCA_btl="tcp", **leaked)
    assert slurm.dropped == sorted(leaked)
    assert slurm.submit(script).job_id == "1"


def test_clean_environment_keeps_the_rest():
    environ = {"SLURM_CONF": "/c", "SLURM_CLUSTERS": "a", "OMPI_MCA_btl": "tcp", "PATH": "/bin", "SLURM_NTASKS": "4"}
    kept, dropped = clean_environment(environ)
    assert dropped == ["SLURM_NTASKS"]
    assert kept == {name: value for name, value in environ.items() if name != "SLURM_NTASKS"}


def test_squeue_is_read():
    jobs = read_squeue("Welcome\nCLUSTER: genius\n" + SQUEUE)
    assert list(jobs) == ["4", "1_1", "1_2", "1_3", "1_0"]
    assert jobs["4"].evidence == "squeue: 4 FAILED, reason JobLaunchFailure"
    waiting, running = jobs["1_2"], jobs["1_0"]
    assert (waiting.state, waiting.reason, waiting.start, waiting.nodes) == ("PENDING", "JobArrayTaskLimit", None, None)
    assert (running.elapsed, running.limit, running.script) == ("0:03", "1:00:00", "/runs/b|c/job.sbatch")


def test_sacct_is_read():
    jobs = read_sacct(SACCT)
    assert (jobs["1_0"].state, jobs["1_0"].exit_code, jobs["1_0"].steps) == ("CANCELLED", "0:0", ())
    assert jobs["1_3"].state == "PENDING"
    assert jobs["5"].steps == ("5.0 OUT_OF_MEMORY",)
    assert (jobs["5"].start, jobs["5"].nodes) == ("2026-11-20T20:56:56", "node01")


@pytest.mark.parametrize(
    ("first", "second", "whole"),
    [
        ("RUNNING", "RUNNING", "RUNNING"),
        ("COMPLETED", "COMPLETED", "COMPLETED"),
        ("COMPLETED", "COMPLETING", "COMPLETING"),
        ("COMPLETED", "NODE_FAIL", "NODE_FAIL"),
        ("CANCELLED", "NODE_FAIL", "NODE_FAIL"),
        ("CANCELLED", "COMPLETED", "CANCELLED"),
        ("COMPLETED", "CANCELLED", "CANCELLED"),
        ("FAILED", "CANCELLED", "FAILED"),
        ("PENDING", "CANCELLED", "PENDING"),
    ],
)
def test_the_components_of_a_heterogeneous_job_are_one_job(first, second, whole):
    """squeue lists them in any order."""
    lines = [
        f"11+{place}|{state}|None|0:04|10:00|N/A|N/A|node0{place}|/runs/a/job.sbatch"
        for place, state in ((1, second), (0, first))
    ]
    jobs = read_squeue("\n".join(lines))
    assert (list(jobs), jobs["11"].job_id, jobs["11"].state) == (["11"], "11", whole)
    times = "00:00:04|00:10:00|2026-11-20T20:56:56|2026-11-20T20:57:00"
    lines = [f"11+0|{first}|0:0|{times}|node01", f"11+0.0|FAILED|1:0|{times}|node01"]
    lines += [f"11+1|{second}|0:0|{times}|node09", f"11+1.1|OUT_OF_MEMORY|0:125|{times}|node09"]
    job = read_sacct("\n".join(lines))["11"]
    assert (job.job_id, job.state, job.steps) == ("11", whole, ("11+0.0 FAILED", "11+1.1 OUT_OF_MEMORY"))


def test_scontrol_is_read():
    job = read_scontrol(SCONTROL)["1_0"]
    assert (job.state, job.reason, job.exit_code) == ("FAILED", "NonZeroExitCode", "3:0")
    assert job.script == "/runs/my run/job.sbatch"


@pytest.mark.parametrize(
    ("text", "ids"),
    [("7", ["7"]), ("7_3", ["7_3"]), ("7_[0-4:2]", ["7_0", "7_2", "7_4"]), ("7_[1,5-6%4]", ["7_1", "7_5", "7_6"])],
)
def test_array_ids_are_expanded(text, ids):
    assert list(expand(text)) == ids
