"""`hpcdl sites` and `hpcdl schema` as a person calls them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hpcdl import resources
from hpcdl.cli import app
from hpcdl.errors import HpcdlError
from hpcdl.site import load_site, site_files

LECTURE = str(resources.folder("jobs") / "mnist_lecture.yaml")


def said(*arguments: str) -> str:
    ran = CliRunner().invoke(app, arguments)
    if ran.exception:
        raise ran.exception
    return ran.stdout


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with a folder of sites, and on no machine of ours."""
    for path in site_files().values():
        for variable in load_site(str(path)).signs.environment:
            monkeypatch.delenv(variable, raising=False)
    (tmp_path / "hpcdl").mkdir()
    (tmp_path / "hpcdl" / "settings.yaml").write_text(f"site: attic\nfolders: {{sites: {tmp_path}}}\n")
    (tmp_path / "attic.yaml").write_text(
        "name: attic\ntitle: My attic\nscheduler: none\ngpu: {request: none}\n"
        f"launch: {{program: mpirun}}\nsigns: {{environment: {{MACHINE: attic}}, files: {{{tmp_path}/here: attic}}}}\n"
    )
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


def test_list_has_one_s_own_and_ours(own):
    listed = [line.split()[0] for line in said("sites", "list").splitlines()]
    assert listed == sorted([*site_files(), "attic"])


def test_show_prints_a_file_from_which_one_can_begin(own):
    text = said("sites", "show", "vista")
    assert text.startswith(f"# {site_files()['vista']}\n")
    (own / "vista.yaml").write_text(text)
    assert load_site("vista", own) == load_site("vista")


def test_show_says_what_is_wrong_with_a_faulty_one(own):
    (own / "attic.yaml").write_text("name: attic\n")
    with pytest.raises(HpcdlError, match="title: missing"):
        said("sites", "show", "attic")


@pytest.mark.parametrize("sign", ["variable", "file"])
def test_detect_goes_by_any_sign(sign, own, monkeypatch):
    if sign == "variable":
        monkeypatch.setenv("MACHINE", "attic")
    else:
        (own / "here").write_text("attic\n")
    assert said("sites", "detect") == "attic\n"


def test_detect_on_an_unknown_machine_says_what_to_do(own, monkeypatch):
    monkeypatch.setenv("MACHINE", "cellar")
    with pytest.raises(HpcdlError, match="no profile knows this machine"):
        said("sites", "detect")


def test_render_goes_to_the_site_of_the_settings(own):
    script = said("render", LECTURE)
    assert script == said("render", LECTURE, "--site", "attic")
    assert "mpirun" in script


def test_schema_is_json(own):
    assert json.loads(said("schema", "site"))["title"] == "Site"
    with pytest.raises(HpcdlError, match="no schema of 'sites'; there are job, chain, site, settings"):
        said("schema", "sites")


def test_import_writes_a_profile_that_render_takes(own, monkeypatch):
    lines = Path(__file__).parent / "slurm" / "scontrol"
    (own / "scontrol").write_text(f'#!/bin/sh\nexec cat "{lines}/$2.txt"\n')
    (own / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{own}:/usr/bin:/bin")
    assert said("sites", "import", "here", "-o", str(own / "here.yaml")) == ""
    script = said("render", LECTURE, "--site", "here", "--set", "resources.nodes=2")
    assert "#SBATCH --partition=gpus\n#SBATCH --gres=gpu:1\n" in script
