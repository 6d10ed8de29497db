"""The README tells the truth: its commands are run, its files and outputs are the real ones."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from hpcdl.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SCRIPTS = Path(sys.executable).parent


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def consoles() -> list[tuple[str, str]]:
    """The commands of all console blocks, each with the output that the README shows for it."""
    shown = []
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            shown.append((command, output))
    return shown


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder from which the README's commands work, with a runs/ of its own."""
    made = tmp_path_factory.mktemp("readme")
    (made / "jobs").symlink_to(ROOT / "jobs")
    return made


def in_shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.mark.mpi
@pytest.mark.slow
def test_every_command_works_and_prints_what_the_readme_shows(folder):
    assert len(consoles()) >= 4
    for command, shown in consoles():
        ended = in_shell(command, folder)
        assert ended.returncode == 0, (command, ended.stderr)
        if shown:
            assert ended.stdout == shown, command


@pytest.mark.mpi
@pytest.mark.slow
@pytest.mark.data
def test_make_mnist_ends_with_the_row_of_a_run_that_meets_the_lecture(tmp_path, mnist_folder):
    command = ["make", "-C", str(ROOT), "mnist", f"VENV={sys.prefix}", f"RUNS={tmp_path}"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"^mnist-\S+ +2 +5/5 +0\.99\d\d .* completed +met", ended.stdout, re.MULTILINE), ended.stdout
    collected = in_shell(f"hpcdl collect {tmp_path} --format json", ROOT)
    (row,) = json.loads(collected.stdout)
    assert row["test_accuracy"] >= 0.9927
    assert (row["ranks"], row["outcome"]) == (2, "completed")


@pytest.mark.mpi
@pytest.mark.slow
def test_the_two_changed_lines_train_a_keras_script_on_two_ranks(run_ranks, tmp_path):
    (script,) = blocks("python")
    (tmp_path / "script.py").write_text(script)
    ended = run_ranks(tmp_path / "script.py", 2)
    assert ended.returncode == 0, ended.stderr
    epochs = [line for line in ended.stdout.splitlines() if " - accuracy: " in line]
    assert len(epochs) == 20, "one rank prints"
    assert epochs[0].startswith("29/29"), "each rank has half of the 1797 images, in batches of 32"
    assert float(re.search(r"accuracy: ([\d.]+)", epochs[-1])[1]) > 0.95
    plain = [line for line in script.splitlines() if "hvd." in line]
    assert len([line for line in plain if "(was: " in line]) == 2


def test_the_job_file_shown_is_the_one_that_comes_with_hpcdl():
    shown, _ = blocks("yaml")  # the other is a part of one
    name, *lines = shown.splitlines()
    path = ROOT / name.removeprefix("# ")
    assert [line for line in path.read_text().splitlines() if not line.startswith("#")] == lines


def test_the_cluster_commands_are_shell():
    for block in blocks("bash"):
        ended = subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True)
        assert ended.returncode == 0, ended.stderr


def test_every_command_of_hpcdl_is_in_the_readme_and_no_other():
    known = set(get_command(app).commands)
    code = "\n".join(re.findall(r"`[^`\n]*`|^\$.*$|^\.venv.*$", README, re.MULTILINE))
    told = set(re.findall(r"\bhpcdl ([a-z][a-z-]*)", code))
    assert known == told & known, f"not in the README: {known - told}"
    assert told <= known, f"no such command: {told - known}"


def test_every_file_that_the_readme_names_exists():
    named = re.findall(r"\b((?:jobs|envs|docs|templates|tests)/[\w./-]+)", README)
    assert named
    for path in named:
        assert (ROOT / path.rstrip(".")).exists(), path


def test_the_first_forty_lines_show_the_commands_and_a_result():
    head = "\n".join(README.splitlines()[:40])
    for text in ("make mnist", "make test", "Test accuracy: 0.99", "completed"):
        assert text in head
