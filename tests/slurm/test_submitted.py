"""`hpcdl submit`, `status`, `watch`, `logs`, `cancel` and `rerun` against a real Slurm."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from slurm_session import Slurm

from hpcdl.run.attempts import read_attempts
from hpcdl.sandbox import faults, nodes
from hpcdl.sandbox.waiting import wait_until

PROGRAMS = ("sbatch", "squeue", "scontrol", "sacct", "scancel")
EAT = "eaten = bytearray(400 << 20); import time; time.sleep(10); print(len(eaten))"


class User:
    """Somebody with a folder of jobs on the sandbox's login node."""

    def __init__(self, slurm: Slurm, folder: Path):
        self.slurm, self.folder = slurm, folder
        folder.mkdir()

    def hpcdl(self, *words: str, path: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        more = [f"PATH={path}"] if path else []
        settings = [f"{name}={value}" for name, value in variables.items()]
        return self.slurm.run("env", *more, *settings, sys.executable, "-m", "hpcdl", *words, folder=self.folder)

    def must(self, *words: str, **variables: str) -> str:
        done = self.hpcdl(*words, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def job(self, name: str, command: list[str], **more: object) -> Path:
        """Write a job file; `more` are further sections, `resources` beside the time limit."""
        resources = {"time": "00:10:00", "memory_per_node_gib": 1, **more.pop("resources", {})}  # type: ignore[dict-item]
        slurm = {"partition": "batch", **more.pop("slurm", {})}  # type: ignore[dict-item]
        job = {"name": name, "resources": resources, "command": command, "slurm": slurm, **more}
        (self.folder / f"{name}.yaml").write_text(json.dumps(job))
        return self.folder / f"{name}.yaml"

    def submit(self, name: str, command: list[str], *words: str, **more: object) -> tuple[Path, str]:
        """Submit a job and return its run's folder and its job's id."""
        said = self.must("submit", str(self.job(name, command, **more)), "--site", "jureca", *words)
        job_id, folder = re.search(r"Submitted job (\d+).*\nRun folder  (\S+)", said).groups()  # type: ignore[union-attr]
        return self.folder / folder, job_id

    def status(self, *words: str, path: str | None = None) -> dict[str, dict]:
        """What `hpcdl status --json` says, by run."""
        done = self.hpcdl("status", "--json", *words, path=path)
        assert done.returncode == 0, done.stderr
        return {status["run"]: status for status in json.loads(done.stdout)}

    def states(self, *words: str, path: str | None = None) -> dict[str, str]:
        """The states by the name of the job."""
        return {run.rpartition("-20")[0]: status["state"] for run, status in self.status(*words, path=path).items()}

    def wait(self, run: Path, *states: str, seconds: float = 60) -> dict:
        seen: list[dict] = []

        def there() -> bool:
            seen[:] = self.status(str(run)).values()
            return seen[0]["state"] in states

        wait_until(there, seconds, f"{run.name} to be {states}")
        return seen[0]


@pytest.fixture
def user(idle: Slurm, request: pytest.FixtureRequest) -> User:
    return User(idle, idle.folder / re.sub(r"\W", "-", request.node.name))


def path_with(folder: Path, *programs: str, **wrappers: str) -> str:
    """A PATH with some of Slurm's programs only, and with scripts of ours under the names of others."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in programs:
        (folder / name).symlink_to(shutil.which(name) or f"/usr/bin/{name}")
    for name, body in wrappers.items():
        (folder / name).write_text(f"#!/bin/bash\n{body}\n")
        (folder / name).chmod(0o755)
    return str(folder)


# How runs end


ENDINGS = {
    "good": "COMPLETED",
    "bad": "FAILED",
    "long": "TIMEOUT",
    "stopped": "CANCELLED",
    "unlucky": "NODE_FAIL",
    # The kernel tells Slurm. Where there is no memory cgroup slurmd samples and kills; then the log tells.
    "greedy": "OUT_OF_MEMORY",
    "displaced": "PREEMPTED",
    "unseen": "LAUNCH_FAILED",
}
SLEEP = ["bash", "-c", "echo started; sleep 600"]


@pytest.fixture(scope="module")
def ended(slurm: Slurm) -> User:
    """A user one of whose runs has ended in each way; nobody has asked for their states yet."""
    user = User(slurm, slurm.folder / "endings")
    final = {"slurm": {"no-requeue": True}}
    ids = {
        "long": user.submit("long", SLEEP, **final),
        "stopped": user.submit("stopped", SLEEP, **final),
        "unlucky": user.submit("unlucky", SLEEP, slurm={"no-requeue": True, "nodelist": "node11"}),
        "displaced": user.submit("displaced", SLEEP, slurm={"no-requeue": True, "nodelist": "node10"}),
        "good": user.submit("good", ["true"]),
        "bad": user.submit("bad", [sys.executable, "-c", "raise ValueError('out of ideas')"]),
    }
    greedy = user.job(
        "greedy", [sys.executable, "-c", EAT], slurm={"mem": "100M"}, resources={"memory_per_node_gib": None}
    )
    said = user.must("submit", str(greedy), "--site", "jureca")
    ids["greedy"] = (Path(), re.search(r"job (\d+)", said)[1])  # type: ignore[index]
    # A folder that the compute nodes do not see: their /tmp is their own.
    unseen = Path("/tmp") / f"hpcdl-unseen-{os.getpid()}"
    said = user.must("submit", str(user.job("unseen", ["true"])), "--site", "jureca", "--runs", str(unseen), "--force")
    ids["unseen"] = (Path(), re.search(r"job (\d+)", said)[1])  # type: ignore[index]
    began = [ids[name][0] for name in ("long", "stopped", "unlucky", "displaced")]
    wait_until(lambda: all(read_attempts(run) for run in began), 60, "the runs to begin")
    faults.expire(slurm.sandbox, ids["long"][1], faults.SOONEST_END)
    dying = threading.Thread(target=faults.fail_node, args=(slurm.sandbox, "node11"))
    dying.start()
    slurm.out("scancel", ids["stopped"][1])
    faults.preempt(slurm.sandbox, ids["displaced"][1])
    dying.join()
    for _, job_id in ids.values():
        slurm.end(job_id, 120)
    faults.restore_node(slurm.sandbox, slurm.cluster, "node11", slurm.sandbox.read_settings().share)
    for run in unseen.iterdir():
        shutil.copytree(run, user.folder / "runs" / run.name)
    shutil.rmtree(unseen)
    return user


@pytest.mark.parametrize(
    "there", [PROGRAMS, ("squeue", "scontrol"), ("squeue",), ("scontrol",), ("sacct",)], ids=",".join
)
def test_every_ending_is_told_apart_by_whichever_program_is_there(ended: User, there: tuple[str, ...], tmp_path: Path):
    runs = ended.folder / f"runs-{'-'.join(there)}"
    shutil.copytree(ended.folder / "runs", runs)  # so that no answer is kept from an earlier look
    expected = dict(ENDINGS)
    if not nodes.has_memory_cgroup():
        expected["greedy"] = "FAILED"
    assert ended.states(str(runs), path=path_with(tmp_path / "bin", *there)) == expected
    # What Slurm said is kept in the folders: now nobody needs to be asked, and collect says the same.
    assert ended.states(str(runs), "--offline") == expected
    rows = json.loads(ended.must("collect", str(runs), "--no-sacct", "--format", "json"))
    outcomes = {row["run"].rpartition("-20")[0]: row["outcome"] for row in rows}
    assert outcomes == {
        "good": "completed",
        "bad": "crash",
        "long": "time_limit",
        "stopped": "cancelled",
        "unlucky": "node_failure",
        "greedy": "oom_host" if nodes.has_memory_cgroup() else outcomes["greedy"],
        "displaced": "preempted",
        "unseen": "launch_failure",
    }


def test_with_nobody_to_ask_only_the_own_records_and_logs_count(ended: User, tmp_path: Path):
    states = ended.states(path=path_with(tmp_path / "bin"))
    assert states.pop("good") == "COMPLETED"
    assert states.pop("bad") == "FAILED"
    assert all(state in (ENDINGS[name], "UNKNOWN", "FAILED") for name, state in states.items()), states
    assert states["unseen"] == "UNKNOWN"


def test_status_says_why_and_what_to_do(ended: User):
    said = ended.must("status", COLUMNS="80")
    lines = said.splitlines()
    assert max(map(len, lines)) <= 80
    words = re.sub(r"\s+", " ", said)
    assert "out of ideas" in words
    assert "did not start" in words
    assert "next: ask for more memory" in words or not nodes.has_memory_cgroup()
    assert "hpcdl rerun runs/unlucky-" in words


def test_a_failed_run_is_done_again_from_its_record(ended: User):
    (bad,) = (ended.folder / "runs").glob("bad-*")
    ended.must("rerun", f"runs/{bad.name}", "--runs", "again")
    (again,) = (ended.folder / "again").iterdir()
    ended.wait(again, "FAILED")
    old, new = (json.loads((run / "record.json").read_text()) for run in (bad, again))
    assert (old["job_digest"], old["submitted"]["site"]) == (new["job_digest"], new["submitted"]["site"])
    old["submitted"] |= {"hpcdl": "0.0.1", "site_digest": "0"}
    old["git"] = {"commit": "1234567", "dirty": True}
    (again / "record.json").write_text(json.dumps(old))
    said = ended.hpcdl("rerun", f"again/{again.name}", "--set", "command=[id]", "--runs", "again").stderr
    for note in (
        "git commit was 1234567",
        "changes that were in no commit",
        "hpcdl was 0.0.1",
        "profile of site jureca",
    ):
        assert note in said


# Submitting


def test_a_lost_answer_makes_no_second_job(user: User, tmp_path: Path):
    said = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"
    lost = f'/usr/bin/sbatch "$@" >/dev/null; echo "{said}" >&2; exit 1'
    wrapper = f'case "$*" in *--parsable*) {lost};; *) exec /usr/bin/sbatch "$@";; esac'
    path = f"{path_with(tmp_path / 'bin', sbatch=wrapper)}:{os.environ['PATH']}"
    done = user.hpcdl("submit", str(user.job("once", ["true"])), "--site", "jureca", path=path)
    assert done.returncode == 0, done.stderr
    assert "answer was lost, but job" in done.stderr
    (run,) = (user.folder / "runs").iterdir()
    shown = user.slurm.out("squeue", "-h", "--states=all", "--format=%i %o").splitlines()
    ids = [line.split()[0] for line in shown if str(run) in line]
    assert len(ids) == 1
    assert user.wait(run, "COMPLETED")["job_id"] == ids[0]


def test_a_submit_outlives_a_restart_of_the_controller(user: User):
    faults.stop_daemon(user.slurm.sandbox, "slurmctld")
    said: list[subprocess.CompletedProcess[str]] = []
    job = str(user.job("patient", ["true"]))
    submitting = threading.Thread(target=lambda: said.append(user.hpcdl("submit", job, "--site", "jureca")))
    submitting.start()
    runs = user.folder / "runs"
    try:
        wait_until(lambda: bool(list(runs.glob("*/submissions.json"))), 60, "the submission to begin")
        assert user.states("--offline") == {"patient": "SUBMITTING"}
    finally:
        faults.start_daemon(user.slurm.sandbox, "slurmctld")
    submitting.join()
    assert said[0].returncode == 0, said[0].stderr
    (run,) = runs.iterdir()
    user.wait(run, "COMPLETED")


def test_a_submission_that_nobody_saw_the_end_of_is_found_again(user: User):
    run, job_id = user.submit("forgotten", SLEEP)
    known = json.loads((run / "submissions.json").read_text())
    known["submissions"][0]["job_id"] = None  # as if hpcdl had died between sbatch and its answer
    (run / "submissions.json").write_text(json.dumps(known))
    assert user.status("--offline")[run.name]["state"] == "SUBMITTING"
    assert user.status()[run.name]["job_id"] == job_id
    assert json.loads((run / "submissions.json").read_text())["submissions"][0]["job_id"] == job_id


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["--set", "resources.nodes=99"], "sbatch --test-only refuses the script"),
        (["--set", "slurm.partition=nowhere", "--site", "generic"], "Invalid partition name specified"),
        (["--dependency", "afterok:999999"], "Slurm knows no job 999999"),
    ],
)
def test_what_the_check_stops_leaves_nothing_behind(user: User, changes: list[str], said: str):
    done = user.hpcdl("submit", str(user.job("wrong", ["true"])), "--site", "jureca", *changes)
    assert done.returncode == 1
    assert said in done.stderr
    assert "not submitted" in done.stderr
    assert list((user.folder / "runs").iterdir()) == []


def test_what_sbatch_refuses_in_spite_of_force_leaves_nothing_behind(user: User):
    job = str(user.job("wrong", ["true"], slurm={"partition": "nowhere"}))
    done = user.hpcdl("submit", job, "--site", "generic", "--force")
    assert (done.returncode, list((user.folder / "runs").iterdir())) == (1, [])
    assert "error: sbatch refused the job:" in done.stderr


def test_a_job_may_submit_a_job_without_leaking_into_it(user: User):
    inner = user.job("inner", ["bash", "-c", "env | grep -E '^(SLURM|SBATCH|PMIX)_'; exit 0"])
    inside = f"SBATCH_QOS=none {sys.executable} -m hpcdl submit {inner} --site jureca --force"
    body = f"cd {user.folder}; srun -n1 -c2 bash -c '{inside}' 2>&1"
    outer = user.slurm.submit(body, "-c2", "-n1", "--mem=1G", "-pbatch")
    assert user.slurm.end(outer) == "COMPLETED", user.slurm.log(outer)
    assert re.search(r"Not handed on.*: .*SBATCH_QOS, .*SLURM_CPUS_PER_TASK, .*SLURM_JOB_ID", user.slurm.log(outer))
    (run,) = (user.folder / "runs").iterdir()
    user.wait(run, "COMPLETED")
    seen = next(run.glob("inner_out.*")).read_text()
    job_id = user.status()[run.name]["job_id"]
    assert f"SLURM_JOB_ID={job_id}\n" in seen
    assert "SLURM_CPUS_PER_TASK" not in seen
    assert "SBATCH_QOS" not in seen


def test_a_dependency_names_a_run(user: User):
    first, first_id = user.submit("first", ["sleep", "600"])
    then, _ = user.submit("then", ["true"], "--dependency", f"afterok:runs/{first.name}")
    waiting = user.wait(then, "PENDING")
    assert "waits for another job to end" in waiting["cause"] or waiting["cause"].startswith("Slurm has not")
    user.must("cancel", f"runs/{first.name}")
    user.wait(first, "CANCELLED")
    never = user.wait(then, "PENDING", "CANCELLED")
    wait_until(lambda: "would wait for ever" in str(user.status(str(then))[then.name]["cause"]), 30, "Slurm to see it")
    assert "cancel it" in user.status(str(then))[then.name]["next_step"], never
    late = user.hpcdl(
        "submit", str(user.job("late", ["true"])), "--site", "jureca", "--dependency", f"afterok:{first_id}"
    )
    assert f"job {first_id} has ended as CANCELLED: afterok will never be satisfied" in late.stderr


# Following


def test_many_runs_are_one_call_of_squeue_and_one_of_sacct(user: User, tmp_path: Path):
    for number in range(3):
        user.submit(f"many{number}", ["true"])
    user.submit("array", ["bash", "-c", "exit {end}"], sweep={"grid": {"end": [0, 1, 0, 1]}})
    user.must("watch", "runs/" + next((user.folder / "runs").glob("many2*")).name)
    counting = {name: f'echo >> {tmp_path}/{name}.calls; exec /usr/bin/{name} "$@"' for name in ("squeue", "sacct")}
    path = path_with(tmp_path / "bin", **counting)
    assert len(user.status(path=path)) == 7
    calls = {name: (tmp_path / f"{name}.calls").read_text().count("\n") for name in counting}
    assert calls == {"squeue": 1, "sacct": 1}


def test_only_the_failed_tasks_of_an_array_are_submitted_again(user: User):
    sweep = {"grid": {"end": [0, 1, 0, 2]}, "throttle": 2}
    array, job_id = user.submit("array", ["bash", "-c", "test -e {end} || exit {end}"], sweep=sweep)
    (user.folder / "0").touch()
    watched = user.hpcdl("watch", str(array), "--interval", "1")
    assert watched.returncode == 1
    assert {name: s["state"] for name, s in user.status(str(array)).items()} == {
        f"{array.name}/{index}": state for index, state in enumerate(["COMPLETED", "FAILED"] * 2)
    }
    for end in "12":
        (user.folder / end).touch()
    said = user.must("submit", "--failed-only", str(array))
    assert user.hpcdl("watch", str(array), "--interval", "1").returncode == 0
    again = re.search(r"Submitted job (\d+), an array of 2 tasks", said)[1]  # type: ignore[index]
    ids = [status["job_id"] for status in user.status(str(array)).values()]
    assert ids == [f"{job_id}_0", f"{again}_1", f"{job_id}_2", f"{again}_3"]
    assert {status["state"] for status in user.status(str(array)).values()} == {"COMPLETED"}
    nothing = user.hpcdl("submit", "--failed-only", str(array))
    assert (nothing.returncode, "nothing of it has failed" in nothing.stderr) == (2, True)


def test_logs_are_followed_through_a_requeue(user: User):
    command = ["bash", "-c", "echo start ${SLURM_RESTART_COUNT:-0}; until test -e go; do sleep 0.2; done"]
    run, job_id = user.submit("again", command, slurm={"requeue": True, "open-mode": "append"})
    seen: list[str] = []
    following = threading.Thread(target=lambda: seen.append(user.must("logs", "-f", f"runs/{run.name}")))
    following.start()
    log = run / f"again_out.{job_id}"
    wait_until(lambda: log.exists() and "start 0" in log.read_text(), 60, "the run to begin")
    user.slurm.out("scontrol", "requeue", job_id)
    # Slurm lets a requeued job wait a while; it says so when the first start has been cleaned up, not before.
    wait_until(lambda: "after a requeue" in (user.wait(run, "REQUEUED")["cause"] or ""), 60, "the requeue")

    def started() -> bool:  # one update is sometimes lost in the end of the first start; too many keep it from starting
        if "Reason=BeginTime" in user.slurm.out("scontrol", "show", "job", job_id):
            user.slurm.run("scontrol", "update", f"jobid={job_id}", "starttime=now")
        return "start 1" in log.read_text()

    wait_until(started, 180, "the second start")
    assert user.wait(run, "RUNNING")["attempts"] == 2
    (user.folder / "go").touch()
    assert user.wait(run, "COMPLETED")["attempts"] == 2
    following.join(60)
    assert [line for line in seen[0].splitlines() if line.startswith("start")] == ["start 0", "start 1"]


def test_cancel_takes_waiting_and_running_tasks_and_no_job_of_another(user: User):
    array, array_id = user.submit("array", ["sleep", "{s}"], sweep={"grid": {"s": [600, 601, 602]}, "throttle": 1})
    user.wait(array / "0", "RUNNING")
    user.must("cancel", f"{array}/2")
    assert [s["state"] for s in user.status(str(array)).values()] == ["RUNNING", "PENDING", "CANCELLED"]
    other = user.slurm.submit("sleep 600", "-pbatch", "--mem=1G")
    run, _ = user.submit("mine", ["sleep", "600"])
    known = json.loads((run / "submissions.json").read_text())
    known["submissions"][0]["job_id"] = other  # ids are used again some day
    (run / "submissions.json").write_text(json.dumps(known))
    assert "is not this run's" in user.must("cancel", f"runs/{run.name}")
    shown = user.slurm.out("squeue", "--noheader", "--format=%T", f"--jobs={other}")
    assert shown.strip() in ("RUNNING", "PENDING", "CONFIGURING")
    user.must("cancel", array_id)
    assert {s["state"] for s in user.status(array_id).values()} <= {"CANCELLED", "COMPLETING"}
    assert "has ended already" in user.must("cancel", f"{array}/2")
