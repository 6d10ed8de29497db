"""The files that the documentation shows are good ones, and do what it says."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hpcdl.cli import app
from hpcdl.job import load_job
from hpcdl.script import render
from hpcdl.settings import Settings, load_settings
from hpcdl.site import load_site

DOCS = Path(__file__).parent.parent / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("number", "held"),
    list(
        enumerate(
            [
                "MASTER_ADDR",
                "--array=0-4%2",
                '--out results/"$rate"',
                "#SBATCH hetjob",
                "B:USR1@300",
                "! ./solverctl save latest;",
            ]
        )
    ),
)
def test_the_job_files_render(number, held, tmp_path):
    (tmp_path / "job.yaml").write_text(blocks("jobs.md", "yaml")[number])
    script = render(load_job(tmp_path / "job.yaml"), "job.yaml", load_site("generic"), Settings())
    assert held in script


def test_the_settings_and_the_site_are_good(tmp_path):
    settings, site = blocks("sites.md", "yaml")
    (tmp_path / "hpcdl").mkdir()
    (tmp_path / "hpcdl" / "settings.yaml").write_text(settings)
    (tmp_path / "mycluster.yaml").write_text(site)
    assert load_settings({"XDG_CONFIG_HOME": str(tmp_path)}).account_at("jureca-dc") == "training01"
    assert load_site("mycluster", tmp_path).partitions["debug"].options["qos"] == "debug"


def test_the_template_extends_ours(tmp_path):
    (tmp_path / "slurm.sh.j2").write_text(blocks("sites.md", "jinja")[0])
    (tmp_path / "job.yaml").write_text(blocks("jobs.md", "yaml")[1])
    settings = Settings.model_validate({"folders": {"templates": str(tmp_path)}})
    script = render(load_job(tmp_path / "job.yaml"), "job.yaml", load_site("generic"), settings)
    assert "\n    nvidia-smi\n    await srun " in script


def test_the_plan_is_what_the_command_prints(tmp_path):
    (tmp_path / "job.yaml").write_text(blocks("jobs.md", "yaml")[1])
    printed = CliRunner().invoke(app, ["plan", str(tmp_path / "job.yaml")]).stdout
    assert f"```\n{printed}```\n" in (DOCS / "jobs.md").read_text()
