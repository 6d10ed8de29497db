"""The options for sbatch, and that sbatch reads back what was meant."""

import subprocess
from pathlib import Path

import pytest
import real_sbatch

from hpcdl import resources, sbatch
from hpcdl.errors import HpcdlError, JobFileError, SiteError
from hpcdl.fit import choose_partition
from hpcdl.job import Job, load_job
from hpcdl.sbatch import directive
from hpcdl.settings import Settings, SiteSettings
from hpcdl.site import Site, load_site

GOLDEN = Path(__file__).parents[1] / "golden"
WITH_DIRECTIVES = [path.name for path in sorted(GOLDEN.glob("train--*.sh")) if "#SBATCH" in path.read_text()]
FACT = {"source": "a manual", "as_of": "2024"}

DUMMY_CONFIGURATION = """ClusterName=dummy
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=1
AuthType=auth/none
MessageTimeout=1
GresTypes=gpu
NodeName=node
PartitionName=part Nodes=node
"""
"""Enough for sbatch to read a script and say what it understood; there is no controller to send it to."""


def job(overrides: dict | None = None) -> Job:
    return load_job(resources.folder("jobs") / "mnist_lecture.yaml", overrides)


def sbatch_options(job: Job, site: Site, settings: Settings) -> dict:
    return sbatch.sbatch_options(job, site, choose_partition(job, site), settings)


def site(**changes) -> Site:
    return Site.model_validate({"name": "test", "title": "test", "scheduler": "slurm", **changes})


def understood(script: str, folder: Path) -> dict[str, str]:
    """Return the options that the real sbatch reads in a script."""
    (folder / "slurm.conf").write_text(DUMMY_CONFIGURATION)
    (folder / "job.sh").write_text(script)
    environment = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": "/usr/bin:/bin"}
    command = ["sbatch", "-v", "--test-only", "job.sh"]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert "defined options" in ran.stderr, ran.stderr
    listing = ran.stderr.split("defined options")[1].splitlines()
    pairs = (line.removeprefix("sbatch: ").partition(":") for line in listing if line.startswith("sbatch: "))
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> None:
    """The real sbatch; without it the tests are skipped, in CI they fail."""
    real_sbatch.start(tmp_path_factory.mktemp("sbatch"))


needs_sbatch = pytest.mark.usefixtures("installed")


@needs_sbatch
@pytest.mark.parametrize(
    "text", ["a b", "run #3", '"', "'", "\\", "a\\", "$(touch x)", "$HOME", "a;b", "a=b", "#", "--x", "é ü", "'a' #b\""]
)
def test_sbatch_reads_back_the_very_value(text, tmp_path):
    script = f"#!/bin/bash\n#SBATCH {directive('comment', text)}\n#SBATCH --time=00:07:00\n"
    read = understood(script, tmp_path)
    assert read["comment"] == text
    assert read["time"] == "00:07:00", "the line behind it was swallowed"


@needs_sbatch
def test_sbatch_understands_the_lecture_script_as_it_is_meant(tmp_path):
    read = understood((GOLDEN / "mnist_lecture--jureca.sbatch").read_text(), tmp_path)
    wanted = {"nodes": "1", "ntasks": "1", "time": "01:00:00", "job-name": "train_mnist", "partition": "gpus"}
    wanted |= {"gres": "gres:gpu:1", "reservation": "deep_learning", "output": str(tmp_path / "mnist_out.%j")}
    assert {name: read[name] for name in wanted} == wanted


@needs_sbatch
@pytest.mark.parametrize(
    "script", [path.name for path in sorted(GOLDEN.glob("train--*.sh")) if "#SBATCH" in path.read_text()]
)
def test_sbatch_knows_every_option_of_every_site(script, tmp_path):
    """An option that this sbatch does not know, or reads otherwise, would end the job before it begins."""
    text = (GOLDEN / script).read_text()
    written = dict(
        line.removeprefix("#SBATCH --").partition("=")[::2] for line in text.splitlines() if "#SBATCH" in line
    )
    written.pop("clusters", None)  # sbatch would ask the accounting database for it
    without = "".join(line for line in text.splitlines(keepends=True) if "--clusters=" not in line)
    read = understood(without, tmp_path)
    same = {"nodes", "ntasks", "ntasks-per-node", "cpus-per-task", "time", "job-name", "partition", "account", "qos"}
    assert {name: read.get(name) for name in same & written.keys()} == {
        name: written[name] for name in same & written.keys()
    }


@needs_sbatch
def test_sbatch_reads_each_group_as_it_was_meant(tmp_path):
    """sbatch keeps some options from one component to the next; what is of the other nodes must not be among them."""
    script = (GOLDEN / "het--jureca-dc.sh").read_bytes()
    accepted, components, printed = real_sbatch.RealSbatch(tmp_path).read(script)
    assert accepted, printed
    wanted = {"nodes": "2", "ntasks": "8", "partition": "dc-gpu", "gres": "gres:gpu:4", "cpus-per-task": "32"}
    wanted |= {"time": "01:00:00", "job-name": "train_and_infer"}
    other = wanted | {"nodes": "1", "ntasks": "24", "partition": "dc-cpu", "time": "00:30:00"}
    other |= {"gres": None, "cpus-per-task": None, "ntasks-per-node": None, "mail-type": None}
    assert [
        {name: read.get(name) for name in names} for names, read in zip([wanted, other], components, strict=True)
    ] == [
        wanted,
        other,
    ]


@pytest.mark.parametrize("text", ["", " ", "a\nb", "a\rb", "a\tb", "a\0b", "a\x1bb", "a\u2028b"])
def test_a_value_that_no_directive_can_hold_is_refused(text):
    with pytest.raises(HpcdlError, match="cannot stand in a batch script"):
        directive("comment", text)


@pytest.mark.parametrize(
    ("gpu", "options"),
    [
        ({"request": "gres"}, {"gres": "gpu:4"}),
        ({"request": "gres", "type": "a100"}, {"gres": "gpu:a100:4"}),
        ({"request": "gpus-per-node"}, {"gpus-per-node": "4"}),
        ({"request": "gpus-per-task"}, {"gpus-per-task": "2"}),
        ({"request": "none"}, {}),
    ],
)
def test_gpus_are_asked_for_in_the_way_of_the_site(gpu, options):
    asked = sbatch_options(
        job({"resources.gpus_per_node": 4, "resources.ranks_per_node": 2}), site(gpu=gpu), Settings()
    )
    assert {name: value for name, value in asked.items() if "gpu" in name or name == "gres"} == options


def test_a_job_without_gpus_has_no_gpu_option():
    asked = sbatch_options(job({"resources.gpus_per_node": 0}), site(gpu={"request": "gres"}), Settings())
    assert "gres" not in asked


def test_ranks_are_spread_evenly_over_several_nodes():
    asked = sbatch_options(job({"resources.nodes": 2, "resources.ranks_per_node": 4}), load_site("generic"), Settings())
    assert (asked["nodes"], asked["ntasks"], asked["ntasks-per-node"]) == ("2", "8", "4")


def test_the_job_s_own_words_replace_the_site_s_and_false_takes_a_line_out():
    profile = site(gpu={"request": "gres"}, options={"exclusive": True, "qos": "normal", "hint": "nomultithread"})
    asked = sbatch_options(job({"slurm.qos": "debug", "slurm.hint": False}), profile, Settings())
    assert asked["exclusive"] is True
    assert asked["qos"] == "debug"
    assert "hint" not in asked


@pytest.mark.parametrize("name", ["nodes", "ntasks", "time", "job-name", "gres", "gpus-per-node"])
def test_slurm_cannot_say_again_what_resources_say(name):
    """Two words for one thing would let one of them pass the checks and the other reach the queue."""
    with pytest.raises(JobFileError, match=f"slurm.{name}"):
        sbatch_options(job({f"slurm.{name}": "1"}), load_site("jureca"), Settings())


def test_an_option_that_sbatch_does_not_have_is_refused_unless_a_plugin_of_the_site_adds_it():
    with pytest.raises(JobFileError, match=r"slurm\.licences: sbatch has no such option\. Did you mean 'licenses'"):
        sbatch_options(job({"slurm.licences": "x"}), load_site("jureca"), Settings())
    with pytest.raises(JobFileError, match="name it in its plugin_options"):
        sbatch_options(job({"slurm.zzz": "x"}), load_site("jureca"), Settings())
    asked = sbatch_options(
        job({"slurm.zzz": "x", "slurm.licenses": "y"}),
        site(gpu={"request": "gres"}, plugin_options=["zzz"]),
        Settings(),
    )
    assert (asked["zzz"], asked["licenses"]) == ("x", "y")


def test_a_site_that_wants_an_account_gets_the_user_s_or_says_so():
    profile = site(gpu={"request": "gres"}, account={"required": True, "patterns": ["[a-j]*", "ev*"], **FACT})
    mine = Settings(account="everywhere", sites={"test": SiteSettings(account="here")})
    assert sbatch_options(job(), profile, mine)["account"] == "here"
    assert sbatch_options(job(), profile, Settings(account="everywhere"))["account"] == "everywhere"
    assert sbatch_options(job({"slurm.account": "job"}), profile, mine)["account"] == "job"
    with pytest.raises(SiteError, match="wants an account"):
        sbatch_options(job(), profile, Settings())
    with pytest.raises(SiteError, match=r"account 'mine': at site test an account looks like \[a-j\]\* or ev\*"):
        sbatch_options(job(), profile, Settings(account="mine"))


def test_an_option_that_the_site_rejects_is_refused():
    profile = site(gpu={"request": "none"}, refuses=["mem", "gres"])
    with pytest.raises(SiteError, match="--mem: site test rejects"):
        sbatch_options(job({"resources.memory_per_node_gib": 64}), profile, Settings())
    assert "mem" not in sbatch_options(job(), profile, Settings())


def test_memory_is_asked_for_in_gib_on_each_node():
    asked = sbatch_options(job({"resources.memory_per_node_gib": 64}), load_site("generic"), Settings())
    assert asked["mem"] == "64G"


def test_a_rank_gets_the_cores_of_its_gpus_unless_the_job_says_how_many():
    profile = site(gpu={"request": "gres", "cores_per_gpu": 20, "source": "a manual", "as_of": "2024"})
    four = {"resources.gpus_per_node": 4, "resources.ranks_per_node": 2}
    assert sbatch_options(job(four), profile, Settings())["cpus-per-task"] == "40"
    assert sbatch_options(job(four | {"resources.cores_per_rank": 8}), profile, Settings())["cpus-per-task"] == "8"


def test_a_sweep_is_an_array_with_a_log_for_each_task():
    sweep = {"sweep": {"grid": {"train.seed": [1, 2, 3]}}}
    asked = sbatch_options(job(sweep), load_site("jureca"), Settings())
    assert (asked["array"], asked["output"], asked["error"]) == ("0-2", "mnist_out.%A_%a", "mnist_err.%A_%a")
    with pytest.raises(JobFileError, match=r"slurm\.array"):
        sbatch_options(job({**sweep, "slurm.array": "0-9"}), load_site("jureca"), Settings())


def test_a_percent_sign_in_the_log_prefix_is_no_pattern():
    asked = sbatch_options(job({"train.data": "50%j"}), load_site("jureca"), Settings())
    assert asked["output"] == "50%%j_out.%j"
