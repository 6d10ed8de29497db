"""The pre-flight: each thing that `sbatch --test-only` lets through is caught, and a clean job is never stopped."""

import os
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hpcdl.cli import app
from hpcdl.site import Account, Gpu, Partition, Site, TimeByNodes
from hpcdl.slurm.preflight import queue
from hpcdl.slurm.preflight.check import preflight

SITE = Site(
    name="demo",
    title="a site for tests",
    scheduler="slurm",
    gpu=Gpu(request="gres", per_node=4, source="here", as_of="2026"),
    partitions={
        "gpus": Partition(kind="gpu", max_time="02:00:00", max_nodes=8, source="here", as_of="2026"),
        "cpus": Partition(kind="cpu", min_nodes=2, source="here", as_of="2026"),
    },
)
CLEAN = """#!/bin/bash
#SBATCH --partition=gpus --time=01:00:00 --nodes=2 --ntasks-per-node=4 --gres=gpu:4
#SBATCH --output=%x_%j.out
srun --cpus-per-task=8 ./train
"""


@pytest.fixture(autouse=True)
def _no_slurm(monkeypatch, tmp_path):
    """No program of Slurm but those that a test puts there, no variable of it, an empty working directory."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "bash").symlink_to("/bin/bash")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in [name for name in os.environ if name.startswith(("SLURM_", "SBATCH_", "MODULEPATH"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def program(tmp_path):
    def put(name, text):
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)

    return put


def check(text, site=SITE, environment=None):
    path = Path("job.sh")
    path.write_text(text)
    return preflight(text.encode(), path, site, environment or {})


def sentences(text, site=SITE, environment=None):
    return " | ".join(problem.what for problem in check(text, site, environment))


def test_a_clean_job_is_clean():
    assert check(CLEAN) == []


@pytest.mark.parametrize(
    ("change", "said", "stops"),
    [
        (("--time=01:00:00", "--time=03:00:00"), "beyond the 02:00:00", True),
        (("--nodes=2", "--nodes=9"), "more than the 8", True),
        (("--partition=gpus --time=01:00:00 --nodes=2", "--partition=cpus --nodes=1"), "fewer than the 2", True),
        (("gpu:4", "gpu:8"), "has 4", True),
        (("gpu:4", "gpu:2"), "half-used", False),
        (("--ntasks-per-node=4", "--ntasks-per-node=2"), "GPUs idle", False),
        (("--gres=gpu:4", "--gpus-per-node=4"), "--gres", False),
        (("--gres=gpu:4", ""), "asks for no GPU", False),
        (("%x_%j.out", "logs/%j.out"), "die with no log", True),
        (("--time=01:00:00", "--time=1h"), "refuses", True),
        (("--time=01:00:00", "--time=24:00"), "24 minutes", False),
        (("#!/bin/bash", "#!/no/such/bash"), "/no/such/bash", True),
        (("--nodes=2", "--nodes=2 --chdir=nowhere"), "nowhere is no folder", True),
        (("srun", ". venv/bin/activate\nsrun"), "venv/bin/activate does not exist", True),
        (("srun", "source $VENV/bin/activate\nsrun"), "", None),
        (("./train", "torchrun --nproc-per-node=4 ./train"), "", None),
        (("%x_%j.out", "%x/%j.out"), "", None),
        (("--partition=gpus", "--partition=other"), "", None),
    ],
)
def test_what_sbatch_lets_through(change, said, stops):
    problems = check(CLEAN.replace(*change))
    if stops is None:
        assert problems == []
        return
    found = [problem for problem in problems if said in problem.what]
    assert found, problems
    assert found[0].stops is stops


def test_accounts_rejected_options_and_plugins_of_the_site():
    account = Account(required=True, patterns=["project_*"], source="here", as_of="2026")
    site = SITE.model_copy(update={"account": account, "refuses": ["mem"], "plugin_options": ["gadget"]})
    assert "wants an account" in sentences(CLEAN, site)
    assert "'mine'" in sentences(CLEAN.replace("--nodes", "--account=mine --nodes"), site)
    good = CLEAN.replace("--nodes", "--account=project_1 --gadget=x --nodes")
    assert sentences(good, site) == ""
    assert "rejects --mem" in sentences(good.replace("--nodes", "--mem=1G --nodes"), site)
    assert "no option --gadget" in sentences(good, SITE)


def test_the_longest_time_may_depend_on_the_nodes():
    steps = [TimeByNodes(nodes=1, max_time="12:00:00"), TimeByNodes(nodes=8, max_time="00:30:00")]
    partition = SITE.partitions["gpus"].model_copy(update={"max_time_by_nodes": steps})
    site = SITE.model_copy(update={"partitions": {"gpus": partition}})
    assert "beyond the 00:30:00" in sentences(CLEAN, site)
    assert sentences(CLEAN.replace("--nodes=2", "--nodes=1"), site) == ""


def test_a_folder_that_is_there_is_no_problem():
    Path("logs").mkdir()
    assert check(CLEAN.replace("%x_%j.out", "logs/%j.out")) == []


def test_variables_that_beat_the_script():
    said = sentences(CLEAN, environment={"SBATCH_PARTITION": "other", "SLURM_JOB_ID": "7", "SLURM_CONF": "x"})
    assert "SBATCH_PARTITION=other is set and beats --partition" in said
    assert "inside job 7" in said
    assert not any(problem.stops for problem in check(CLEAN, environment={"SBATCH_PARTITION": "other"}))


def test_sbatch_is_asked_without_the_variables_that_it_would_obey(program, monkeypatch):
    monkeypatch.setenv("SBATCH_PARTITION", "other")
    program("sbatch", '[ "$1" = --version ] && { echo slurm 23.02.1; exit; }; [ -z "$SBATCH_PARTITION" ]')
    assert check(CLEAN) == []


def test_what_test_only_says_stops_the_job(program):
    program(
        "sbatch",
        '[ "$1" = --version ] && echo slurm 22.05.8 || { echo "allocation failure: Invalid partition" >&2; exit 1; }',
    )
    problems = check(CLEAN)
    assert [problem.stops for problem in problems] == [True]
    assert "Invalid partition" in problems[0].what


def test_a_slurm_that_does_not_answer_stops_nothing(program):
    program("sbatch", 'echo "allocation failure: Unable to contact slurm controller" >&2; exit 1')
    assert [problem.stops for problem in check(CLEAN)] == [False]


def test_since_23_02_slurm_makes_the_folders_of_logs(program):
    program("sbatch", "echo slurm 23.02.1")
    assert check(CLEAN.replace("%x_%j.out", "logs/%j.out")) == []


def test_unknown_dependencies_and_reservations_that_are_over(program):
    program("sbatch", "echo slurm 22.05.8")
    program(
        "scontrol",
        '[ "$2 $3" = "reservation old" ] && echo "ReservationName=old EndTime=2020-01-01T00:00:00" || exit 1',
    )
    script = CLEAN.replace("#SBATCH --output", "#SBATCH --dependency=afterok:99+5 --reservation=old --output")
    said = sentences(script)
    assert "knows no job 99" in said
    assert "job 5" not in said
    assert "old ended at 2020" in said
    assert "there is no new" in sentences(script.replace("=old", "=new"))


def test_modules_that_are_not_there(monkeypatch):
    def run(command):
        return subprocess.CompletedProcess(command, command[-1] != "Python", "", "")

    monkeypatch.setattr(queue, "_run", run)
    script = CLEAN.replace("srun", "module load Python Nonsense/1.0 $OTHER\nsrun")
    said = sentences(script, environment={"MODULEPATH": "/x"})
    assert said == "there is no module Nonsense/1.0 here"
    assert sentences(script) == ""


def run(*arguments):
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


def test_exit_codes_and_force(tmp_path):
    path = tmp_path / "job.sh"
    path.write_text(CLEAN)
    assert run(path).exit_code == 0
    path.write_text(CLEAN.replace("--time=01:00:00", "--time=1h"))
    result = run(path)
    assert result.exit_code == 1
    assert "error: sbatch refuses this" in result.stdout
    assert "remedy: " in result.stdout
    assert run(path, "--force").exit_code == 0


def test_a_job_file_is_checked_as_its_script():
    jobs = Path(__file__).parents[2] / "jobs"
    assert run(jobs / "mnist_lecture.yaml", "--site", "jureca").exit_code == 0
    result = run(jobs / "mnist_lecture.yaml", "--site", "jureca", "--set", "resources.gpus_per_node=9")
    assert result.exit_code == 1
    assert "has 4" in result.stdout


def test_absent_data_are_told_with_the_way_to_them_and_unknown_data_stop_the_job(tmp_path, monkeypatch):
    for variable in ("HPCDL_DATA", "XDG_CACHE_HOME", "KERAS_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    job = Path(__file__).parents[2] / "jobs" / "mnist_lecture.yaml"
    result = run(job, "--site", "jureca-dc", "--set", "slurm.account=example")
    assert (
        "warning: the data set mnist is not on this machine, and the compute nodes of jureca-dc have no internet"
        in (result.stdout)
    )
    assert "remedy: hpcdl fetch mnist" in result.stdout
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-labels-idx1-ubyte").touch()
    assert "the data set" not in run(job, "--site", "jureca").stdout
    result = run(job, "--site", "jureca", "--set", "train.data=mnits")
    assert result.exit_code == 1
    assert "'mnits' is no data set; there are " in result.stdout
    assert "Did you mean mnist?" in result.stdout


GOLDEN = [path for path in (Path(__file__).parents[1] / "golden").glob("*") if path.read_bytes().startswith(b"#!")]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_no_script_that_hpcdl_writes_is_stopped(path):
    problems = preflight(path.read_bytes(), path, None, {})
    assert not [problem for problem in problems if problem.subject == "script"]


STATES = {"1": "COMPLETED", "2": "FAILED", "3": "RUNNING", "4_1": "TIMEOUT", "4": "COMPLETED JobState=OUT_OF_MEMORY"}


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("afterok:1", None),
        ("afterok:3", None),
        ("afterany:2", None),
        ("afternotok:2", None),
        ("singleton", None),
        ("afterok:2", "afterok:2 cannot be met any more, because the job is FAILED; the new one would wait for ever"),
        ("afterok:3:2", "afterok:2 cannot be met"),
        ("aftercorr:4", "because the job is OUT_OF_MEMORY"),
        ("afterok:4_1", "afterok:4_1 cannot be met any more, because the job is TIMEOUT"),
        ("afternotok:1", "because the job is COMPLETED"),
        ("afterok:2?afterok:3", None),
        ("afterok:2?afternotok:1", "afterok:2 cannot be met any more"),
        ("afterok:7", None),  # forgotten by the controller, and sacct says that it ended well
        ("afterok:8", "Slurm knows no job 8 (any more) (is FAILED, says sacct); it would start the new one at once"),
        ("afterany:9+10", "Slurm knows no job 9 (any more); it would start the new one at once"),
    ],
)
def test_a_dependency_that_cannot_be_met_and_one_that_slurm_forgot_are_told(program, condition, said):
    known = "".join(f"  {job}) echo JobState={state};;\n" for job, state in STATES.items())
    program("sbatch", '[ "$1" = --version ] && echo slurm 22.05.8')
    program("scontrol", f'case "$4" in\n{known}  *) exit 1;;\nesac')
    program("sacct", 'case "$5" in --jobs=7) echo COMPLETED;; --jobs=8) echo FAILED;; esac')
    problems = check(CLEAN.replace("#SBATCH --output", f"#SBATCH --dependency={condition} --output"))
    told = [problem.what for problem in problems if "dependency" in problem.what]
    assert [said in what for what in told] == [True] if said else not told, told


@pytest.mark.parametrize(
    ("array", "stops"), [("0-1000", False), ("0-1001", True), ("1,1001:2%9", True), ("5%2000", False)]
)
def test_an_array_beyond_what_slurm_takes_is_told(program, array, stops):
    program("sbatch", '[ "$1" = --version ] && echo slurm 22.05.8')
    program("scontrol", "echo 'MaxArraySize            = 1001'")
    problems = check(CLEAN.replace("#SBATCH --output", f"#SBATCH --array={array} --output"))
    told = [problem.what for problem in problems if "MaxArraySize" in problem.what]
    assert bool(told) == stops, told
