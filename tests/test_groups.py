"""Heterogeneous jobs: what a job file's groups may say, and how the script runs them beside each other."""

import os
import subprocess
from pathlib import Path

import pytest

from hpcdl.errors import JobFileError
from hpcdl.job import Job, load_job
from hpcdl.run.attempts import read_attempts
from hpcdl.script import render
from hpcdl.settings import Settings
from hpcdl.site import load_site

HET = Path(__file__).parent / "golden" / "het.yaml"


def job(first: dict | None = None, second: dict | None = None, **more: object) -> Job:
    """A job of two groups; `first` and `second` are further keys of theirs."""
    groups = [
        {"name": "a", "resources": {"time": "01:00:00"}, "command": ["one"], **(first or {})},
        {"name": "b", "resources": {"time": "00:30:00", "ranks_per_node": 2}, "command": ["two"], **(second or {})},
    ]
    return Job.model_validate({"name": "x", "groups": groups, **more})


def directives(job: Job) -> list[list[str]]:
    """The words behind #SBATCH, of each component."""
    text = render(job, "job.yaml", load_site("generic"), Settings())
    lines = [line.removeprefix("#SBATCH ") for line in text.splitlines() if line.startswith("#SBATCH ")]
    return [part.splitlines() for part in "\n".join(lines).split("hetjob\n")]


def test_a_group_is_a_job_of_its_own_in_what_it_needs():
    whole = job({"slurm": {"qos": "gpu"}}, {"slurm": {"qos": "cpu"}}, slurm={"comment": "both"}, env={"A": "b"})
    first, second = whole.components
    assert (first.resources.ranks, second.resources.ranks, whole.ranks) == (1, 2, 3)
    assert (first.command, second.command) == (["one"], ["two"])
    assert first.slurm == {"comment": "both", "qos": "gpu"}
    assert second.slurm == {"comment": "both", "qos": "cpu"}
    assert (second.env, second.groups) == ({"A": "b"}, [])


def test_a_job_without_groups_is_its_only_component():
    alone = Job.model_validate({"name": "x", "resources": {"time": "01:00:00", "nodes": 3}, "command": "one"})
    assert (alone.components, alone.ranks) == ([alone], 3)


def test_a_job_with_groups_says_the_same_after_it_was_written_and_read_again():
    once = load_job(HET)
    again = Job.model_validate(once.model_dump(mode="json", exclude_none=True))
    assert (again, again.digest) == (once, once.digest)


RESOURCES = {"time": "02:00:00"}


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"command": "x"}, "command: a job with `groups:` has a command in each group"),
        ({"train": {"model": "mnist_cnn", "data": "mnist", "epochs": 1, "batch_size": 1}}, "train: a job with"),
        ({"sweep": {"grid": {"a": [1, 2]}}}, "sweep: Slurm has no arrays of heterogeneous jobs"),
        ({"on_timeout": {}}, "on_timeout: a job with `groups:` gets no signal"),
        ({"resources": RESOURCES}, "resources: a job with `groups:` has them in each group"),
        ({"second": {"name": "a"}}, "groups: a, a: give two or more, each with a name of its own"),
    ],
)
def test_what_makes_no_sense_beside_groups_is_refused(more, sentence):
    with pytest.raises(ValueError, match=sentence):
        job(**more)


def test_one_group_is_no_heterogeneous_job():
    with pytest.raises(ValueError, match="groups: a: give two or more"):
        Job.model_validate({"name": "x", "groups": [{"name": "a", "resources": RESOURCES, "command": "x"}]})


def test_a_fault_in_a_group_is_told_with_its_line(tmp_path):
    (tmp_path / "job.yaml").write_text(HET.read_text().replace("ranks_per_node: 24", "ranks: 24"))
    with pytest.raises(JobFileError, match=r"job\.yaml:9: groups\.1\.resources\.ranks: unknown key"):
        load_job(tmp_path / "job.yaml")


@pytest.mark.parametrize("site", ["local", "vsc-ugent", "lonestar6"])
def test_a_site_that_cannot_start_groups_refuses_them(site):
    with pytest.raises(JobFileError, match=f"groups: only Slurm and its srun .* site {site} has not both"):
        render(job(), "job.yaml", load_site(site), Settings())


def test_what_slurm_takes_from_the_first_group_stands_there_alone():
    first, second = directives(job(slurm={"mail-type": "END", "comment": "both"}))
    assert {"--mail-type=END", "--comment=both", "--job-name=x", "--time=01:00:00"} <= set(first)
    assert second == ["--nodes=1", "--ntasks=2", "--time=00:30:00", "--comment=both"]


def test_what_slurm_would_not_hear_from_a_later_group_is_refused():
    with pytest.raises(JobFileError, match=r"groups: b: slurm\.mail-type: Slurm takes it from the first group"):
        directives(job(second={"slurm": {"mail-type": "END"}}))


def test_what_sbatch_would_keep_from_a_group_before_is_refused():
    """Without the refusal the second group would ask for the memory of the first one's nodes."""
    large = {"resources": {"time": "01:00:00", "memory_per_node_gib": 400}}
    with pytest.raises(JobFileError, match="groups: b: has no --mem, and sbatch would give it the 400G"):
        directives(job(first=large))
    assert "--mem=400G" in directives(job(second=large))[1]


STAND_INS = """
scontrol() { echo "node-of-$3"; }
srun() {
    echo "$1 $MASTER_ADDR"
    bash -c "${*: -1}"
}
"""


def run(folder: Path, first: str, second: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run the script of two groups with stand-ins for Slurm's programs; return its end and its recorded decision."""
    text = render(
        job({"command": ["bash", "-c", first]}, {"command": ["bash", "-c", second]}),
        "job.yaml",
        load_site("generic"),
        Settings(),
        folder=folder,
    )
    slurm = {"SLURM_JOB_ID": "12", "SLURM_JOB_NODELIST_HET_GROUP_0": "a", "SLURM_JOB_NODELIST_HET_GROUP_1": "b"}
    ran = subprocess.run(
        ["bash", "-c", STAND_INS + text],
        env=os.environ | slurm,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    attempt = read_attempts(folder)[0]
    assert attempt.start
    assert attempt.exit
    assert (attempt.start.nodes, attempt.start.ntasks, attempt.exit.exit_code) == ("a,b", 3, ran.returncode)
    return ran, attempt.exit.decision


def test_all_groups_run_beside_each_other_and_meet_at_their_own_first_node(tmp_path):
    """Each one waits for what the other one makes."""
    wait = 'until [ -e "{}" ]; do sleep 0.01; done'
    here, there = tmp_path / "here", tmp_path / "there"
    ran, decision = run(tmp_path, f'touch "{here}"; {wait.format(there)}', f'touch "{there}"; {wait.format(here)}')
    assert (ran.returncode, decision) == (0, "finished"), ran.stderr
    assert set(ran.stdout.splitlines()) == {"--het-group=0 node-of-a", "--het-group=1 node-of-b"}


@pytest.mark.parametrize("failing", [0, 1])
def test_the_first_group_that_fails_ends_the_others_and_its_code_is_the_job_s(failing, tmp_path):
    commands = ["sleep 600", "sleep 600"]
    commands[failing] = "exit 3"
    ran, decision = run(tmp_path, *commands)
    assert (ran.returncode, decision) == (3, "failed")
    assert "error: a group has failed with exit code 3; the others are ended" in ran.stderr


def test_a_group_that_has_finished_long_ago_ends_nothing(tmp_path):
    ran, decision = run(tmp_path, "exit 0", "sleep 0.5; exit 4")
    assert (ran.returncode, decision) == (4, "failed")
