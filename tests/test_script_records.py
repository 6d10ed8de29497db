"""What a rendered script records of itself and decides, run by bash with stand-ins for Slurm's programs."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from hpcdl import resources, script
from hpcdl.errors import HpcdlError
from hpcdl.job import Job
from hpcdl.run.attempts import Attempt, read_attempts
from hpcdl.script import render
from hpcdl.settings import Settings
from hpcdl.site import Launch, load_site

RESOURCES = {"nodes": 2, "ranks_per_node": 3, "time": "00:10:00"}
COMMAND = {"name": "work", "resources": RESOURCES, "command": "true"}
TRAINING = {
    "name": "work",
    "resources": RESOURCES,
    "train": {"model": "mnist_cnn", "data": "digits", "epochs": 1, "batch_size": 8},
}
SLURM = {
    "SLURM_JOB_ID": "1234",
    "SLURM_JOB_NODELIST": "jrc[0001-0002]",
    "SLURM_CLUSTER_NAME": "jureca",
}
STAND_INS = """
scontrol() { [ "$1" = show ] && echo jrc0001; [ "$1" = requeue ] && echo "$2" >>requeued; return ${REFUSED:-0}; }
scancel() { echo "$@" >>cancelled; }
sleep() { :; }
srun() {
    [ "${SUCCESS-}" ] && echo '{"status": "success"}' >"$HPCDL_RUN_FOLDER/record.json"
    [ "${SIGNAL-}" ] && kill -"$SIGNAL" $$
    return "${CODE:-0}"
}
"""


def run(folder: Path, job: dict, given: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    text = render(Job.model_validate(job), "job.yaml", load_site("generic"), Settings(), folder=given)
    return subprocess.run(
        ["bash", "-c", STAND_INS + text],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **SLURM, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


def only(folder: Path) -> Attempt:
    (attempt,) = read_attempts(folder)
    return attempt


def test_a_start_and_an_end_are_recorded_in_a_folder_of_the_job_s_id(tmp_path):
    assert run(tmp_path, COMMAND).returncode == 0
    attempt = only(tmp_path / "runs" / "work-1234")
    start, end = attempt.start, attempt.exit
    assert (start.job_id, start.slurm_job_id, start.restart) == ("1234", "1234", 0)
    assert (start.nodes, start.ntasks, start.cluster) == ("jrc[0001-0002]", 6, "jureca")
    assert start.host
    assert (end.exit_code, end.decision, end.signal, end.reason) == (0, "finished", None, None)
    assert start.started <= end.ended


def test_with_a_folder_of_the_launcher_s_all_goes_there(tmp_path):
    folder = tmp_path / "it's a 100 %"
    assert run(tmp_path, COMMAND, given=folder).returncode == 0
    assert only(folder).exit.decision == "finished"
    assert not (tmp_path / "runs").exists()
    text = render(Job.model_validate(COMMAND), "job.yaml", load_site("generic"), Settings(), folder=folder)
    assert f'#SBATCH --output="{folder}%/work_out.%j"\n' in text


@pytest.mark.parametrize("given", [None, "given"])
def test_each_task_of_an_array_has_a_folder_of_its_own(tmp_path, given):
    job = {**COMMAND, "sweep": {"grid": {"rate": [1, 2]}}}
    folder = tmp_path / given if given else None
    run(tmp_path, job, folder, SLURM_ARRAY_JOB_ID="1200", SLURM_ARRAY_TASK_ID="1")
    attempt = only((folder or tmp_path / "runs" / "work-1200") / "1")
    assert (attempt.job_id, attempt.start.slurm_job_id) == ("1200_1", "1234")
    text = render(Job.model_validate(job), "job.yaml", load_site("generic"), Settings(), folder=folder)
    assert f"#SBATCH --output={str(folder) + '/%a/' if folder else ''}work_out.%A_%a\n" in text


def test_a_point_s_values_are_variables_and_words_of_the_command(tmp_path):
    job = {**COMMAND, "command": ["train", "--rate={rate}", "{note}", "{other}"]}
    job["sweep"] = {"zip": {"rate": [0.001, 1e-05], "note": ["it's", "$HOME; {rate}"]}, "points": [{"fast": True}]}
    text = render(Job.model_validate(job), "job.yaml", load_site("generic"), Settings())
    array = {"SLURM_ARRAY_JOB_ID": "1", "SLURM_ARRAY_TASK_ID": "1"}
    ran = subprocess.run(
        ["bash", "-c", STAND_INS + 'srun() { printf "%s|" "$@" "$fast"; }\n' + text],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], **SLURM, **array},
        capture_output=True,
        text=True,
    )
    assert ran.stdout == "--kill-on-bad-exit=1|train|--rate=1e-05|$HOME; {rate}|{other}|true|"


@pytest.mark.parametrize("value", ['a"b', "back\\slash", "line\nbreak", "\u00e9", "$(touch x)", "", "\x01"])
def test_a_record_is_valid_whatever_the_environment_holds(tmp_path, value):
    variables = dict.fromkeys(("SLURM_JOB_NODELIST", "SLURM_CLUSTER_NAME", "SLURM_RESTART_COUNT"), value)
    run(tmp_path, COMMAND, **variables)
    attempt = only(tmp_path / "runs" / "work-1234")
    assert (attempt.restart, attempt.exit.decision) == (0, "finished")
    assert not (tmp_path / "x").exists()


def test_a_job_whose_records_cannot_be_written_runs_all_the_same(tmp_path):
    (tmp_path / "file").touch()
    ran = run(tmp_path, {**COMMAND, "name": "work"}, given=tmp_path / "file")
    assert ran.returncode == 0
    assert "Not a directory" in ran.stderr


def test_a_failure_before_the_work_is_recorded_too(tmp_path):
    site = load_site("generic").model_copy(update={"modules": load_site("jureca").modules})
    text = render(Job.model_validate(COMMAND), "job.yaml", site, Settings())
    environment = {"PATH": os.environ["PATH"], **SLURM}
    ran = subprocess.run(["bash", "-c", "module() { return 3; }\n" + text], cwd=tmp_path, env=environment)
    assert ran.returncode == 3
    end = only(tmp_path / "runs" / "work-1234").exit
    assert (end.exit_code, end.decision) == (3, "failed")


@pytest.mark.parametrize(
    ("variables", "decision", "exit_code"),
    [
        ({"SUCCESS": "1"}, "finished", 0),
        ({}, "failed", 1),  # srun ended with 0, but nothing was trained
        ({"CODE": "1"}, "failed", 1),
        ({"CODE": "75"}, "failed", 75),  # stopped, but not by the notice
        ({"CODE": "75", "SIGNAL": "TERM"}, "failed", 75),  # a cancel, a preemption
        ({"CODE": "75", "SIGNAL": "USR1"}, "requeued", 75),
        ({"CODE": "1", "SIGNAL": "USR1"}, "failed", 1),
        ({"SUCCESS": "1", "SIGNAL": "USR1"}, "finished", 0),  # the notice came as it ended
        ({"CODE": "75", "SIGNAL": "USR1", "SLURM_RESTART_COUNT": "2"}, "requeued", 75),
        ({"CODE": "75", "SIGNAL": "USR1", "SLURM_RESTART_COUNT": "3"}, "gave_up", 75),
        ({"CODE": "75", "SIGNAL": "USR1", "REFUSED": "1"}, "gave_up", 75),
    ],
)
def test_a_run_is_requeued_only_when_the_notice_stopped_it(tmp_path, variables, decision, exit_code):
    ran = run(tmp_path, TRAINING, **variables)
    end = only(tmp_path / "runs" / "work-1234").exit
    assert (end.decision, end.exit_code, ran.returncode) == (decision, exit_code, exit_code)
    assert end.signal == variables.get("SIGNAL")
    tries = 5 if "REFUSED" in variables else decision == "requeued"
    assert ((tmp_path / "requeued").read_text() if tries else "") == "1234\n" * tries
    assert ("error: " in ran.stderr) == (decision == "gave_up")
    assert (end.reason is not None) == (decision == "gave_up")


@pytest.mark.parametrize("launcher", ["srun", "mpirun"])
def test_a_notice_reaches_the_ranks_and_bash_waits_for_their_end(tmp_path, launcher):
    site = load_site("generic").model_copy(update={"launch": Launch(program=launcher)})
    (tmp_path / launcher).write_text(
        "#!/bin/bash\ntrap 'sleep 0.3; exit 75' USR1\necho ready\nwhile :; do sleep 0.05; done"
    )
    (tmp_path / "scancel").write_text('#!/bin/bash\npkill -USR1 -f "^/bin/bash $PWD/srun " && echo "$@" >cancelled')
    for program in (launcher, "scancel"):
        (tmp_path / program).chmod(0o755)
    text = "scontrol() { :; }\n" + render(Job.model_validate(TRAINING), "job.yaml", site, Settings())
    environment = {**SLURM, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with subprocess.Popen(
        ["bash", "-c", text], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGUSR1)
        process.wait(60)
    end = only(tmp_path / "runs" / "work-1234").exit
    assert (end.signal, end.exit_code, end.decision) == ("USR1", 75, "requeued")
    if launcher == "srun":
        assert (tmp_path / "cancelled").read_text() == "--signal=USR1 1234\n"


@pytest.mark.parametrize("name", sorted(script.OWN_VARIABLES))
def test_a_variable_that_the_script_uses_for_itself_is_refused(name):
    with pytest.raises(HpcdlError, match=f"variable {name}: the batch script uses this name"):
        render(Job.model_validate({**COMMAND, "env": {name: "x"}}), "job.yaml", load_site("generic"), Settings())


def test_all_variables_of_the_scripts_are_known_as_such():
    texts = "\n".join(path.read_text() for path in resources.folder("templates").glob("*.sh.j2"))
    shell = re.sub(r"\{[{%].*?[%}]\}|local \w+=|\{\"schema\".*", "", texts)
    assigned = set(re.findall(r"(?:^|[\s(])(\w+)=", shell)) | set(re.findall(r"for (\w+) in|-v (\w+)", shell)[0])
    assert assigned - {""} - script.OWN_VARIABLES <= {
        "MASTER_ADDR",
        "MASTER_PORT",
        "HPCDL_SCRATCH",
        "LC_ALL",
        "IFS",
        "file",
    }
