"""`hpcdl submit`, `status`, `cancel` and `rerun` where no Slurm answers: folders, sentences, exit codes.

Slurm's programs are small stand-ins; tests/slurm/test_submit.py has the real ones.
"""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import pytest

from hpcdl.cli import main
from hpcdl.run import record

ROOT = Path(__file__).parent.parent
JOB = {"name": "hello", "resources": {"time": "00:10:00"}, "command": ["true"]}
SBATCH = 'case "$*" in --version) echo slurm 22.05.8;; --test-only*) ;; *) echo 41;; esac'


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A working folder with job files, and programs in bin/ that say that job 41 was taken, and runs."""
    (tmp_path / "bin").mkdir()
    put(tmp_path, "sbatch", SBATCH)
    put(tmp_path, "squeue", "exit 0")
    (tmp_path / "hello.yaml").write_text(json.dumps(JOB))
    sweep = {"grid": {"end": [0, 1]}, "throttle": 1}
    (tmp_path / "sweep.yaml").write_text(json.dumps({**JOB, "command": ["bash", "-c", "exit {end}"], "sweep": sweep}))
    return tmp_path


def put(here: Path, name: str, body: str) -> None:
    path = here / "bin" / name
    path.write_text(f'#!/bin/bash\necho "$*" >> {here}/{name}.calls\n{body}\n')
    path.chmod(0o755)


def hpcdl(here: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Call the command line in this process, which has imported it, as a person would in the folder `here`."""
    (here / "tools").mkdir(exist_ok=True)
    for tool in ("git", "bash"):  # and nothing else: this machine may have a Slurm
        if not (here / "tools" / tool).exists():
            (here / "tools" / tool).symlink_to(shutil.which(tool) or tool)
    environment = {"PATH": f"{here / 'bin'}:{here / 'tools'}", **variables}
    out, err, before, code = io.StringIO(), io.StringIO(), Path.cwd(), 0
    os.chdir(here)
    try:
        with (
            mock.patch.dict(os.environ, environment),
            mock.patch.object(sys, "argv", ["hpcdl", *words]),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            main()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        os.chdir(before)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def submitted(here: Path, *words: str, **variables: str) -> Path:
    done = hpcdl(here, "submit", *words, "--site", "generic", **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("Submitted job 41")
    (folder,) = (here / "runs").iterdir()
    return folder


def exits(folder: Path, job_id: str, exit_code: int, decision: str) -> None:
    """Write what the batch script writes of an attempt."""
    (folder / "attempts").mkdir(exist_ok=True)
    common = {"schema": 1, "job_id": job_id, "restart": 0}
    start = dict.fromkeys(("slurm_job_id", "host", "nodes", "ntasks", "cluster")) | {
        "started": "2099-11-20T12:00:00+00:00"
    }
    end = {"exit_code": exit_code, "signal": None, "decision": decision, "reason": None}
    (folder / "attempts" / f"{job_id}.0.start.json").write_text(json.dumps(common | start))
    end |= {"ended": "2099-11-20T12:00:07+00:00"}
    (folder / "attempts" / f"{job_id}.0.exit.json").write_text(json.dumps(common | end))


def status(here: Path, *words: str) -> list[dict]:
    done = hpcdl(here, "status", "--json", *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_run_folder_holds_all_that_a_rerun_needs(here):
    run = submitted(here, "hello.yaml", "--set", "env.A=b", SLURM_JOB_ID="7", LOADEDMODULES="GCC/12:CUDA")
    assert {path.name for path in run.iterdir()} == {
        "job.yaml",
        "job.sbatch",
        "record.json",
        "submissions.json",
        "site",
    }
    known = record.read(run)
    assert known["job"]["env"] == {"A": "b"}
    assert known["submitted"]["loaded_modules"] == ["GCC/12", "CUDA"]
    assert known["submitted"]["dropped_variables"] == ["SLURM_JOB_ID"]
    assert (run / "site" / "generic.yaml").read_bytes() == (ROOT / "envs" / "generic.yaml").read_bytes()
    assert f"--output={run}/hello_out.%j" in (run / "job.sbatch").read_text()
    assert (here / "sbatch.calls").read_text().splitlines()[-1] == f"--parsable {run / 'job.sbatch'}"


def test_changes_that_are_in_no_commit_are_kept_with_the_run(here):
    for words in (
        ["init", "-q"],
        ["add", "hello.yaml"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm1"],
    ):
        subprocess.run(["git", *words], cwd=here, check=True)
    (here / "hello.yaml").write_text(json.dumps({**JOB, "name": "other"}))
    run = submitted(here, "hello.yaml")
    assert record.read(run)["git"]["dirty"] is True
    assert '+{"name": "other"' in (run / "git.diff").read_text()


def test_each_point_of_an_array_has_a_run_folder_of_its_own(here):
    array = submitted(here, "sweep.yaml")
    assert not (array / "record.json").exists()
    assert record.read(array / "1")["job"]["command"] == ["bash", "-c", "exit 1"]
    exits(array / "0", "41_0", 0, "finished")
    exits(array / "1", "41_1", 1, "failed")
    first, second = status(here)
    assert (first["run"], first["job_id"], first["state"]) == (f"{array.name}/0", "41_0", "COMPLETED")
    assert (second["state"], second["cause"], second["elapsed_s"]) == ("FAILED", "ended with exit code 1", 7)
    assert [one["run"] for one in status(here, "41_1")] == [f"{array.name}/1"]
    assert [one["run"] for one in status(here, f"runs/{array.name}/0")] == [f"{array.name}/0"]
    put(here, "sbatch", SBATCH.replace("41", "42"))
    again = hpcdl(here, "submit", "--failed-only", f"runs/{array.name}")
    assert again.stdout.startswith("Submitted job 42, an array of 1 task\n")
    assert "--array=1%1" in (here / "sbatch.calls").read_text().splitlines()[-1]
    assert [one["job_id"] for one in status(here)] == ["41_0", "42_1"]
    # The old end of the task is not the new job's.
    assert status(here)[1]["state"] == "LOST"


def test_gone_from_squeue_is_no_success_and_an_unreachable_slurm_no_end(here):
    run = submitted(here, "hello.yaml")
    assert status(here)[0]["state"] == "LOST"
    put(here, "squeue", 'echo "slurm_load_jobs error: Unable to contact slurm controller" >&2; exit 1')
    assert status(here)[0]["state"] == "UNKNOWN"
    (here / "bin" / "squeue").unlink()
    assert status(here)[0]["state"] == "UNKNOWN"
    exits(run, "41", 0, "finished")
    assert status(here)[0]["state"] == "COMPLETED"


def test_what_slurm_said_of_an_end_is_kept_when_it_has_forgotten(here):
    run = submitted(here, "hello.yaml")
    script = run / "job.sbatch"
    put(here, "squeue", f"echo '41|TIMEOUT|TimeLimit|10:01|10:00|N/A|2026-11-20T21:56:56|node01|{script}'")
    assert status(here)[0]["state"] == "TIMEOUT"
    put(here, "squeue", "exit 0")
    (one,) = status(here)
    assert (one["state"], one["elapsed_s"], one["limit_s"]) == ("TIMEOUT", 601, 600)
    rows = json.loads(hpcdl(here, "collect", "runs", "--format", "json").stdout)
    assert rows[0]["outcome"] == "time_limit"


def test_a_waiting_job_shows_why_and_when_it_starts(here):
    run = submitted(here, "hello.yaml")
    put(here, "squeue", f"echo '41|PENDING|Priority|0:00|10:00|2026-11-21T08:00:00|N/A||{run / 'job.sbatch'}'")
    said = hpcdl(here, "status", COLUMNS="80").stdout
    assert max(map(len, said.splitlines())) <= 80
    assert "waits for jobs of higher priority (Priority); expected to start" in " ".join(said.split())
    assert "2026-11-21 08:00:00" in said


def test_progress_is_read_from_the_metrics(here):
    run = submitted(here, "hello.yaml")
    put(here, "squeue", f"echo '41|RUNNING|None|1:00|10:00|2026-11-21T08:00:00|N/A|node01|{run / 'job.sbatch'}'")
    events = [
        {"event": "run_start", "ranks": 2, "epochs": 5},
        {"event": "epoch", "epoch": 1, "epochs": 5, "images_per_s": 900.0},
        {"event": "progress", "epoch": 2, "step": 150, "steps": 500, "images_per_s": 1000.0},
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    said = hpcdl(here, "status", COLUMNS="120").stdout
    assert "epoch 2/5 step 150/500" in said
    assert "0:01:00/0:10:00" in said


def test_local_runs_are_shown_too(here):
    run = here / "runs" / "hello-1"
    run.mkdir(parents=True)
    record.create(run, name="hello", id="1", job=JOB, ranks=2, scheduler="local", pid=os.getpid())
    one = status(here)[0]
    assert (one["state"], one["job_id"]) == (
        "LOST" if "hpcdl" not in Path("/proc/self/cmdline").read_text() else "RUNNING",
        None,
    )
    record.update(run, status="success", exit_code=0, time_s=12.4)
    assert [(one["state"], one["elapsed_s"]) for one in status(here)] == [("COMPLETED", 12)]
    record.update(run, status="aborted", exit_code=1, reason="rank 1 died")
    assert [(one["state"], one["cause"]) for one in status(here)] == [("FAILED", "rank 1 died")]
    assert "in no queue" in hpcdl(here, "cancel", "runs/hello-1").stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["submit"], "submit what?"),
        (["submit", "hello.yaml"], "site local has no queue: hpcdl run hello.yaml starts"),
        (["submit", "hello.yaml", "--site", "gneric"], "Did you mean 'generic'?"),
        (["submit", "no.yaml", "--site", "generic"], "no.yaml"),
        (["submit", "hello.yaml", "--site", "generic", "--dependency", "soon:41"], "write KIND:JOB"),
        (
            ["submit", "hello.yaml", "--site", "generic", "--dependency", "afterok:runs"],
            "neither a job id nor the folder",
        ),
        (["submit", "hello.yaml", "--site", "generic", "--set", "slurm.nod=1"], "sbatch has no such option"),
        (["submit", "--failed-only", "runs"], "runs: holds no run"),
        (["submit", "--failed-only", "runs", "--set", "a=1"], "takes the run's own script"),
        (["status", "nowhere"], "nowhere: holds no run"),
        (["status", "99"], "no run in runs has this job id"),
        (["cancel", "99"], "no run in runs has this job id"),
        (["logs", "99"], "no run in runs has this job id"),
        (["rerun", "runs"], "runs: holds no run (no job.yaml)"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(here, words, sentence):
    (here / "runs").mkdir()
    done = hpcdl(here, *words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert sentence in done.stderr
    assert list((here / "runs").iterdir()) == []


def test_a_site_behind_qsub_uses_it_or_says_what_is_missing(here):
    done = hpcdl(here, "submit", "hello.yaml", "--site", "vsc-ugent")
    assert (done.returncode, list((here / "runs").iterdir())) == (1, [])
    assert "qsub, which is not on the PATH" in done.stderr
    put(here, "qsub", "echo 41.master")
    done = hpcdl(here, "submit", "hello.yaml", "--site", "vsc-ugent")
    assert (done.returncode, done.stdout.split("\n")[0]) == (0, "Submitted job 41")
    assert status(here)[0]["job_id"] == "41"
    (run,) = (here / "runs").iterdir()
    assert "qdel 41 cancels it" in hpcdl(here, "cancel", str(run)).stderr


def test_a_job_of_a_named_cluster_is_looked_for_there(here):
    lost = SBATCH.replace("echo 41", "echo 'sbatch: error: Socket timed out on send/recv operation' >&2; exit 1")
    put(here, "sbatch", lost)
    put(here, "squeue", f'for run in {here}/runs/*; do echo CLUSTER: genius; echo "41|$run/job.sbatch"; done')
    partition = [
        "--set",
        "resources.gpus_per_node=1",
        "--set",
        "slurm.partition=gpu_p100",
        "--set",
        "slurm.account=lp_a",
    ]
    with mock.patch("hpcdl.slurm.client.SETTLE_S", 0):
        done = hpcdl(here, "submit", "hello.yaml", "--site", "vsc-genius", "--force", *partition)
    assert done.stdout.startswith("Submitted job 41\n"), done.stderr
    assert "--clusters=genius" in (here / "squeue.calls").read_text().splitlines()[-1]
    (run,) = (here / "runs").iterdir()
    put(here, "squeue", f"echo CLUSTER: genius; echo '41|RUNNING|None|1:00|10:00|N/A|N/A|r1|{run / 'job.sbatch'}'")
    assert [one["state"] for one in status(here)] == ["RUNNING"]
    assert "--clusters=genius --jobs=41" in (here / "squeue.calls").read_text().splitlines()[-1]


def test_a_submit_that_died_leaves_its_folder_and_is_judged_by_what_slurm_knows(here):
    put(
        here,
        "sbatch",
        f'case "$*" in --version) echo slurm 22.05.8;; --test-only*) ;; *) kill -INT {os.getpid()};; esac',
    )
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell runs the tests behind it
    try:
        assert hpcdl(here, "submit", "hello.yaml", "--site", "generic").returncode in (1, 130)
    finally:
        signal.signal(signal.SIGINT, before)
    assert [one["state"] for one in status(here, "--offline")] == ["SUBMITTING"]
    assert [one["state"] for one in status(here)] == ["SUBMITTING"]  # it may be on its way
    (run,) = (here / "runs").iterdir()
    known = json.loads((run / "submissions.json").read_text())
    known["submissions"][0]["began"] = "2020-11-20T12:00:00.000+00:00"
    (run / "submissions.json").write_text(json.dumps(known))
    assert [one["state"] for one in status(here)] == ["LOST"]
    put(here, "squeue", f"echo '41|{run / 'job.sbatch'}'")
    assert [one["job_id"] for one in status(here)] == ["41"]


def test_watch_ends_with_the_runs_and_says_how(here):
    run = submitted(here, "hello.yaml")
    exits(run, "41", 3, "failed")
    done = hpcdl(here, "watch", "--interval", "1")
    assert (done.returncode, done.stdout) == (1, f"{run.name} job 41 FAILED: ended with exit code 3\n")
    exits(run, "41", 0, "finished")
    done = hpcdl(here, "watch", "--interval", "1")
    assert (done.returncode, done.stdout) == (0, f"{run.name} job 41 COMPLETED\n")


def test_logs_of_an_array_bear_the_index_and_follow_ends_with_it(here):
    array = submitted(here, "sweep.yaml")
    for index in (0, 1):
        exits(array / str(index), f"41_{index}", 0, "finished")
        (array / str(index) / f"hello_out.41_{index}").write_text(f"line {index}\nlast {index}")
        (array / str(index) / f"hello_err.41_{index}").write_text("oh\n")
    assert hpcdl(here, "logs", "-f", "41").stdout == "0: line 0\n0: last 0\n1: line 1\n1: last 1\n"
    assert hpcdl(here, "logs", str(array / "1"), "--err").stdout == "oh\n"


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("hpcdl sub", "submit"),
        ("hpcdl submit a.yaml --site jurec", "jureca-dc"),
        ("hpcdl status runs/he", "runs/hello-1"),
    ],
)
def test_the_shell_completes(here, typed, answer):
    (here / "runs" / "hello-1").mkdir(parents=True)
    words = {"_HPCDL_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    command = [sys.executable, "-c", "from hpcdl.cli import main; import sys; sys.argv = ['hpcdl']; main()"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | words
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False)
    assert answer in done.stdout.split("\n"), done.stdout + done.stderr
