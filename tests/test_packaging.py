"""What an installed hpcdl holds and needs: its folders in the wheel, no TensorFlow to render, a quick start."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hpcdl import resources

ROOT = Path(__file__).parents[1]


def files_below(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of this checkout, built from a copy, so that the checkout stays as it is."""
    source, out = tmp_path_factory.mktemp("source") / "hpcdl", tmp_path_factory.mktemp("wheel")
    source.mkdir()
    for name in ("hpcdl", "templates", "envs", "jobs"):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(out),
        str(source),
    ]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    (path,) = out.glob("*.whl")
    return path


@pytest.mark.parametrize("name", ["templates", "envs", "jobs"])
def test_the_checkout_and_the_wheel_hold_the_same_folders(wheel, name):
    own = files_below(ROOT / name)
    assert own
    assert files_below(resources.folder(name)) == own
    prefix = f"hpcdl/{name}/"
    packed = {path.removeprefix(prefix) for path in zipfile.ZipFile(wheel).namelist() if path.startswith(prefix)}
    assert packed == own


def test_the_wheel_holds_every_module(wheel):
    own = {f"hpcdl/{path}" for path in files_below(ROOT / "hpcdl") if path.endswith(".py")}
    packed = {path for path in zipfile.ZipFile(wheel).namelist() if path.endswith(".py")}
    assert packed == own


def test_the_wheel_holds_what_the_report_is_made_of(wheel):
    own = {f"hpcdl/report/{path.name}" for path in (ROOT / "hpcdl" / "report").glob("page.*")}
    assert len(own) == 4
    assert own <= set(zipfile.ZipFile(wheel).namelist())


def test_the_metadata(wheel):
    with zipfile.ZipFile(wheel) as file:
        (metadata,) = (file.read(name).decode() for name in file.namelist() if name.endswith("/METADATA"))
        assert any(name.endswith("/licenses/LICENSE") for name in file.namelist())
    needed = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert not [line for line in needed if any(name in line for name in ("tensorflow", "horovod", "mpi4py"))]
    assert {"Provides-Extra: train", "Provides-Extra: test", "Requires-Python: >=3.10"} <= set(metadata.splitlines())


@pytest.mark.slow
def test_a_wheel_in_an_empty_environment_renders_without_tensorflow(wheel, tmp_path):
    """As on a login node: no checkout, no trainer's packages. The first run of pip needs the package index."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv/bin/python"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    installed = run(str(python), "-m", "pip", "install", "-q", "-c", str(ROOT / "envs/constraints.txt"), str(wheel))
    assert installed.returncode == 0, installed.stderr
    hpcdl = str(tmp_path / "venv/bin/hpcdl")
    assert run(hpcdl, "--version").stdout.startswith("hpcdl ")
    shutil.copy(ROOT / "jobs/mnist_lecture.yaml", tmp_path)
    rendered = run(hpcdl, "render", "mnist_lecture.yaml", "--site", "jureca")
    assert rendered.returncode == 0, rendered.stderr
    assert "#SBATCH --job-name=train_mnist" in rendered.stdout
    # And what is missing for training is named, with the way to get it.
    doctor = run(hpcdl, "doctor")
    assert doctor.returncode == 1
    for name in ("tensorflow", "horovod", "mpi4py"):
        assert f"{name} is not installed for {python}: run envs/setup.sh" in doctor.stdout
    assert "Traceback" not in doctor.stdout + doctor.stderr
