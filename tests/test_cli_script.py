"""`hpcdl render` as a person calls it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpcdl import resources

LECTURE = str(resources.folder("jobs") / "mnist_lecture.yaml")


def hpcdl(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "hpcdl", *arguments]
    package = str(Path(__file__).parent.parent)
    return subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": package} | environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_render_prints_the_script(tmp_path):
    (tmp_path / "hpcdl").mkdir()
    (tmp_path / "hpcdl" / "settings.yaml").write_text("mail_user: you@example.org\n")
    ran = hpcdl("render", LECTURE, "--site", "jureca", XDG_CONFIG_HOME=str(tmp_path))
    golden = Path(__file__).parent / "golden" / "mnist_lecture--jureca.sbatch"
    assert ran.stdout == golden.read_text().replace("jobs/mnist_lecture.yaml", LECTURE)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_render_writes_a_file_and_nothing_else(tmp_path):
    ran = hpcdl("render", LECTURE, "--site", "jureca", "--set", "resources.nodes=2", "-o", "job.sh", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (0, "")
    assert "#SBATCH --nodes=2\n" in (tmp_path / "job.sh").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["job.sh"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--site", "nowhere"], "no site 'nowhere'"),
        (["--set", "epochs"], "write KEY=VALUE"),
        (["--set", "train.epochs=[1"], "not valid YAML"),
        (["--set", "train.epoch=1"], "Did you mean 'epochs'?"),
        (["--set", "slurm.nice=1.5"], "slurm.nice: 1.5 must be a text"),
        (["--site", "jureca", "--set", "resources.gpus_per_node=5"], "a node of site jureca has 4"),
        (["--site", "jureca", "--set", 'slurm.comment="a\\nb"'], "--comment: 'a\\nb' cannot stand in a batch script"),
        (["-o", "no/such/folder/job.sh"], "no/such/folder/job.sh: cannot be written"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, sentence, tmp_path):
    ran = hpcdl("render", LECTURE, *arguments, cwd=tmp_path)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.startswith("error: ")
    assert sentence in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_plan_prints_the_points_with_their_numbers():
    ran = hpcdl("plan", str(Path(__file__).parent / "golden" / "sweep.yaml"))
    assert [line.split() for line in ran.stdout.splitlines()] == [
        ["point", "train.optimizer.learning_rate", "train.batch_size"],
        *(["0", "0.001", "64"], ["1", "0.001", "128"], ["2", "0.002", "64"], ["3", "0.002", "128"]),
        ["4", "0.004", "128"],
    ]


def test_render_finds_a_faulty_point_before_the_array_runs():
    ran = hpcdl("render", LECTURE, "--set", "sweep={grid: {train.epochs: [1, 0]}}")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "point 1 ({'train.epochs': 0}):" in ran.stderr
