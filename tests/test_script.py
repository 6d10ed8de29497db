"""The batch script: golden files, and what bash, shellcheck and sbatch themselves make of it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hpcdl import resources
from hpcdl.cli import app
from hpcdl.data import Data
from hpcdl.errors import HpcdlError
from hpcdl.job import Job, load_job
from hpcdl.script import render
from hpcdl.settings import Folders, Settings, SiteSettings
from hpcdl.site import Modules, Site, load_site, site_files

GOLDEN = Path(__file__).parent / "golden"
SCRIPTS = sorted([*GOLDEN.glob("*.sh"), *GOLDEN.glob("*.sbatch")])
LECTURE = "jobs/mnist_lecture.yaml"
SETTINGS = Settings(mail_user="you@example.org", account="myproject")
HOSTILE = [
    "a b",
    "it's",
    'say "no"',
    "a; touch x",
    "a\nb",
    "$(touch x)",
    "`touch x`",
    "a\\",
    "#b",
    "*",
    "~",
    "-rf",
    "é",
]


@pytest.fixture(scope="module")
def lecture() -> Job:
    return load_job(resources.folder("jobs") / "mnist_lecture.yaml")


def test_the_lecture_script_is_the_one_of_the_golden_file(lecture, golden):
    golden(
        "mnist_lecture--jureca.sbatch",
        render(lecture, LECTURE, load_site("jureca"), Settings(mail_user="you@example.org")),
    )


def test_a_user_without_settings_gets_no_mail_user_and_no_account(lecture):
    script = render(lecture, LECTURE, load_site("jureca"), Settings())
    assert "mail-user" not in script
    assert "account" not in script
    assert "#SBATCH --mail-type=ALL\n" in script


@pytest.mark.parametrize("name", site_files())
def test_every_site_gets_its_golden_script(name, golden):
    """A whole node's GPUs with one rank each, where the profile knows how many a node has."""
    site = load_site(name)
    first = next(iter(site.partitions.values()), None)
    gpus = (first and first.gpus_per_node) or (site.gpu and site.gpu.per_node) or 0
    counts = {"resources.gpus_per_node": gpus, "resources.ranks_per_node": max(gpus, 1)}
    job = load_job(GOLDEN / "train.yaml", counts)
    account = site.account.patterns[0].replace("*", "example") if site.account.patterns else "example"
    settings = Settings(mail_user="you@example.org", account=account)
    golden(f"train--{name}.sh", render(job, "train.yaml", site, settings))


def test_a_command_of_one_s_own_gets_a_place_to_meet_and_its_variables(golden):
    """The node's name has the site's suffix: MASTER_ADDR is then the address on the fast network."""
    settings = Settings(
        account="example", venv="/project/example/venv", sites={"jureca-dc": {"modules": ["GCC", "CUDA"]}}
    )
    job = load_job(GOLDEN / "command.yaml")
    golden("command--jureca-dc.sh", render(job, "command.yaml", load_site("jureca-dc"), settings))


def test_groups_are_components_of_one_job_and_steps_beside_each_other(golden):
    job = load_job(GOLDEN / "het.yaml")
    golden("het--jureca-dc.sh", render(job, "het.yaml", load_site("jureca-dc"), Settings(account="example")))


@pytest.mark.parametrize("site", ["jureca", "local"])
def test_a_sweep_is_a_job_array_or_a_loop(site, golden):
    job = load_job(GOLDEN / "sweep.yaml")
    golden(f"sweep--{site}.sh", render(job, "sweep.yaml", load_site(site), Settings()))


def test_a_point_that_fails_does_not_keep_the_others_from_running():
    script = render(load_job(GOLDEN / "sweep.yaml"), "sweep.yaml", load_site("local"), Settings())
    stand_in = 'mpirun() { echo "${@: -1}"; [ "${@: -1}" != 1 ] || return 9; }\n'
    ran = subprocess.run(["bash", "-c", stand_in + script], capture_output=True, text=True, check=False)
    assert (ran.stdout.split(), ran.returncode) == (["0", "1", "2", "3", "4"], 9)


def test_the_place_to_meet_is_the_first_node_by_its_fast_name(tmp_path):
    job = load_job(GOLDEN / "command.yaml")
    script = render(job, "command.yaml", load_site("jureca-dc"), Settings(account="example"))
    stand_ins = """module() { :; }
scontrol() { printf '%s\\n' "jrc0$3"{7..9}; }
srun() { echo "$MASTER_ADDR $MASTER_PORT $OMP_NUM_THREADS $NOTE"; }
"""
    slurm = {"SLURM_JOB_NODELIST": "x", "SLURM_JOB_ID": "1234567", "OTHERSTAGES": "/stages"}
    ran = subprocess.run(
        ["bash", "-c", stand_ins + script], env=os.environ | slurm, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "jrc0x7i 24567 8 one $HOME, taken literally\n"


@pytest.mark.parametrize("script", [path.name for path in SCRIPTS])
def test_bash_and_shellcheck_accept_every_golden_script(script):
    subprocess.run(["bash", "-n", GOLDEN / script], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", "--severity=warning", GOLDEN / script], check=True)


@pytest.mark.parametrize("version", ["22.05", "26.05"])
def test_our_own_lint_finds_nothing_in_a_golden_script(version):
    linted = CliRunner().invoke(app, ["lint", "--slurm", version, *map(str, SCRIPTS)])
    assert linted.exit_code == 0, linted.stdout


def test_a_wrapper_of_the_site_gives_each_rank_its_own_gpu():
    """LUMI's: the device is chosen by the rank's number on its node, and the command behind it runs as it stands."""
    wrapper = load_site("lumi-g").launch.wrapper
    say = ["bash", "-c", 'echo "$ROCR_VISIBLE_DEVICES $1"', "say", "a  b"]
    ran = subprocess.run(
        wrapper + say, env=os.environ | {"SLURM_LOCALID": "5"}, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "5 a  b\n"


def test_directives_stand_before_the_first_command(lecture):
    """sbatch stops reading there, silently."""
    lines = render(lecture, LECTURE, load_site("jureca"), SETTINGS).splitlines()
    commands = [number for number, line in enumerate(lines) if line and not line.startswith("#")]
    assert max(number for number, line in enumerate(lines) if line.startswith("#SBATCH")) < min(commands)


def test_overrides_reach_the_ranks(lecture):
    script = render(lecture, LECTURE, load_site("local"), SETTINGS, ["train.epochs=1", "slurm.comment=a b"])
    assert "hpcdl train jobs/mnist_lecture.yaml --set train.epochs=1 --set 'slurm.comment=a b'\n" in script


def test_srun_repeats_the_cores_that_the_job_asked_for(lecture):
    """Slurm 22.05 to 23.02 does not hand --cpus-per-task down to srun."""
    job = changed(lecture, {"cores_per_rank": 6})
    script = render(job, LECTURE, load_site("generic"), SETTINGS)
    assert "#SBATCH --cpus-per-task=6\n" in script
    assert re.search(r"^ +await srun .*--cpus-per-task=6 ", script, re.MULTILINE)


def test_a_variable_of_the_job_comes_before_the_site_s(lecture):
    site = load_site("generic").model_copy(update={"env": {"NCCL_DEBUG": "WARN", "SITE": "1"}})
    script = render(lecture.model_copy(update={"env": {"NCCL_DEBUG": "INFO"}}), LECTURE, site, SETTINGS)
    assert "export NCCL_DEBUG=INFO\n    export SITE=1\n" in script
    assert "WARN" not in script


@pytest.mark.parametrize(
    ("site", "line"),
    [("vsc-ugent", 'export HPCDL_SCRATCH="$VSC_SCRATCH_NODE"'), ("lonestar6", "export HPCDL_SCRATCH=/tmp")],
)
def test_a_training_that_stages_its_data_is_told_the_node_s_own_disk(site, line):
    job = load_job("jobs/mnist.yaml", {"resources.gpus_per_node": 2, "resources.cores_per_rank": 1})
    staged = job.model_copy(update={"train": job.training.model_copy(update={"data": Data(name="npz", stage=True)})})
    settings = Settings(account="example")
    assert f"    {line}\n" in render(staged, "job.yaml", load_site(site), settings)
    assert "HPCDL_SCRATCH" not in render(job, "job.yaml", load_site(site), settings)
    own = staged.model_copy(update={"env": {"HPCDL_SCRATCH": "/own"}})
    assert render(own, "job.yaml", load_site(site), settings).count("HPCDL_SCRATCH") == 1


def test_the_pmix_switch_is_the_profile_s(lecture):
    site = load_site("generic")
    launch = site.launch.model_copy(update={"mpi": "pmix", "options": ["--cpu-bind=none"]})
    script = render(lecture, LECTURE, site.model_copy(update={"launch": launch}), SETTINGS)
    assert "srun --kill-on-bad-exit=1 --mpi=pmix --cpu-bind=none hpcdl train" in script
    assert "--mpi" not in render(lecture, LECTURE, site, SETTINGS)


def test_a_machine_without_a_queue_gets_mpirun_and_no_directives(lecture):
    script = render(changed(lecture, {"ranks_per_node": 2}), LECTURE, load_site("local"), SETTINGS)
    assert "#SBATCH" not in script
    assert "\n    mpirun -n 2 hpcdl train jobs/mnist_lecture.yaml\n" in script


@pytest.mark.parametrize("text", HOSTILE)
def test_bash_reads_every_value_back_literally(text, lecture, tmp_path):
    """Each value of job file, profile and settings that stands in the body of a script, run by bash with stand-ins."""
    venv = tmp_path / "venv" / text
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "activate").write_text("said source-of-venv\n")
    site = Site(
        name="hostile",
        title="hostile",
        scheduler="none",
        gpu={"request": "none"},
        modules=Modules(use=[text], load=[text], restore=text),
        env={"HOSTILE": text},
        launch={"program": "mpirun", "options": [text], "wrapper": [text]},
    )
    settings = Settings(venv=str(venv), sites={"hostile": SiteSettings(modules=[text])})
    job = lecture.model_copy(update={"env": {"MINE": text}})
    stand_ins = """said() { printf '%s\\0' "$@"; }
module() { said module "$@"; }
mpirun() { said "$HOSTILE" "$MINE" mpirun "$@"; }
"""
    script = render(job, text, site, settings, [text])
    ran = subprocess.run(["bash", "-c", stand_ins + script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.split("\0")[:-1] == [
        *("module", "use", text, "module", "restore", text, "module", "load", text, "module", "load", text),
        *("source-of-venv", text, text, "mpirun", "-n", "1", text, text, "hpcdl", "train", text, "--set", text),
    ]
    assert not (tmp_path / "x").exists(), "a value was run as a command"


def test_the_script_ends_with_the_exit_code_of_the_training(lecture):
    body = render(lecture, LECTURE, load_site("local"), SETTINGS)
    assert subprocess.run(["bash", "-c", "mpirun() { return 42; }\n" + body], check=False).returncode == 42


def test_a_module_that_cannot_be_loaded_ends_the_job_before_the_training(lecture):
    body = "module() { return 3; }\nsrun() { echo trained; }\n" + render(
        lecture, LECTURE, load_site("jureca"), SETTINGS
    )
    ran = subprocess.run(["bash", "-c", body], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (3, "")


def test_a_value_that_no_script_can_hold_is_refused(lecture):
    with pytest.raises(HpcdlError, match="NUL"):
        render(lecture, "a\0b", load_site("local"), SETTINGS)


def test_every_value_in_a_template_goes_through_a_filter():
    """A bare {{ value }} would reach the shell unquoted."""
    templates = sorted(resources.folder("templates").glob("*.j2"))
    assert templates
    for template in templates:
        for expression in re.findall(r"\{\{(.*?)\}\}", template.read_text(), re.DOTALL):
            assert re.search(r"\| (quote|words|line) $|^ super\(\) $", expression), f"{template.name}: {expression}"


def test_the_user_s_own_template_comes_first_and_can_extend_ours(lecture, tmp_path):
    own = '{% extends "hpcdl/slurm.sh.j2" %}\n{% block payload %}\necho mine\n{{ super() }}{% endblock %}\n'
    (tmp_path / "slurm.sh.j2").write_text(own)
    settings = Settings(folders=Folders(templates=str(tmp_path)))
    script = render(lecture, LECTURE, load_site("jureca"), settings)
    assert "#SBATCH --nodes=1\n" in script
    assert "echo mine\n    await srun --kill-on-bad-exit=1 hpcdl train jobs/mnist_lecture.yaml\n" in script


@pytest.mark.parametrize("fault", ["{{ typo | quote }}", "{% if %}"])
def test_a_faulty_template_is_named(fault, lecture, tmp_path):
    (tmp_path / "slurm.sh.j2").write_text(fault)
    with pytest.raises(HpcdlError, match=r"template slurm\.sh\.j2"):
        render(lecture, LECTURE, load_site("jureca"), Settings(folders=Folders(templates=str(tmp_path))))


def test_rendering_loads_neither_the_trainer_nor_pandas():
    """`hpcdl render` must answer at once on a login node."""
    code = f"""
import sys
from hpcdl.cli import app
app(["render", {str(resources.folder("jobs") / "mnist_lecture.yaml")!r}, "--site", "jureca"], standalone_mode=False)
heavy = {{"tensorflow", "keras", "horovod", "mpi4py", "pandas", "numpy"}} & set(sys.modules)
sys.exit(f"imported: {{heavy}}" if heavy else 0)
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def changed(job: Job, resources: dict) -> Job:
    return job.model_copy(update={"resources": job.resources.model_copy(update=resources)})
