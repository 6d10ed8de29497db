"""docs/performance.md says what the stored figures say, and the benches run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCH = ROOT / "tests" / "bench"
LECTURE = {
    "epochs": [
        {"epoch": 1, "time_s": 100.0, "test_accuracy": 0.99},
        {"epoch": 2, "time_s": 200.0, "test_accuracy": 0.993},
    ],
    "time_s": 210.0,
}
MACHINE = {"date": "2026-11-21", "cpu": "Example CPU", "cores": 2, "memory_gb": 16, "kernel": "6", "python": "3.11"}


@pytest.fixture(scope="module")
def page():
    sys.path.insert(0, str(BENCH))  # its programs import one another
    try:
        import page
    finally:
        sys.path.remove(str(BENCH))
    return page


def test_the_page_is_what_the_figures_say(page):
    assert page.PAGE.read_text() == page.make(page.read(page.RESULTS)), "make it anew with `make bench-page`"


def test_each_picture_of_the_page_is_there(page):
    shown = [line for line in page.PAGE.read_text().splitlines() if line.startswith("![")]
    assert len(shown) == sum(bool(page.SECTIONS[name].plot) for name in page.read(page.RESULTS))
    for line in shown:
        assert (page.PAGE.parent / line.partition("](")[2].rstrip(")")).is_file(), line


def found(name: str, **figures) -> dict:
    return {name: {"machine": MACHINE | {"load_of_1_minute": 0.1}, "versions": {"keras": "3.0"}, **figures}}


def rounds(*images_per_s: float) -> list[dict]:
    return [{"images_per_s": rate, "first_steps_s": 5.0, "version": "1"} for rate in images_per_s]


def test_a_peer_that_is_faster_is_shown_faster(page):
    trained = {page.networks.OURS: rounds(100, 110), page.networks.KERAS: rounds(50, 50)}
    trained[page.networks.DDP] = rounds(200, 220)
    text = page.make(found("networks", networks={"resnet20_cifar": {"batch": 128, "trained": trained}}))
    assert "| 210.0 (200.0 to 220.0) | 0.50 (0.50 to 0.50) |" in text
    assert "2.10 (2.00 to 2.20)" in text


def test_a_ratio_is_of_figures_of_the_same_round(page):
    """A machine that is twice as slow in one round slows both sides: the ratio stays."""
    trained = {page.networks.OURS: rounds(100, 50), page.networks.KERAS: rounds(50, 25)}
    text = page.summary(found("networks", networks={"resnet20_cifar": {"batch": 128, "trained": trained}}))
    assert "| 2.00 (2.00 to 2.00) | 2 |" in text


def test_an_absent_pytorch_is_said(page):
    trained = {page.networks.OURS: rounds(100), page.networks.KERAS: rounds(50)}
    text = page.make(found("networks", networks={"resnet20_cifar": {"batch": 128, "trained": trained}}))
    assert "PyTorch was not installed" in text


def test_a_job_that_misses_the_accuracy_is_not_the_best(page):
    fast, slow = ([{"seed": 1, "time_s": s, "test_accuracy": a}] for s, a in ((10.0, 0.99), (20.0, 0.994)))
    figures = {"goal": 0.9927, "lecture": LECTURE, "hpcdl": {"fast.yaml": fast, "slow.yaml": slow}}
    assert "`jobs/slow.yaml`" in page.summary(found("mnist", **figures))
    text = page.make(found("mnist", **figures))
    assert "epoch 2 was the first to read 99.27% of the test images right, 200 s after the start" in text
    figures["lecture"] = {**LECTURE, "epochs": LECTURE["epochs"][:1]}
    assert "No epoch of the script's run reached 99.27%" in page.make(found("mnist", **figures))


@pytest.mark.slow
@pytest.mark.mpi
def test_the_benches_run(tmp_path):
    """Those that start trainings, each in its quick form, without PyTorch as on most machines; each writes its JSON."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HPCDL_BENCH_VENV": str(tmp_path / "none")}
    names = ["commands", "parallel", "mnist", "checkpoints", "memory"]
    command = [sys.executable, str(BENCH / "bench.py"), *names, "--quick", "-o", str(tmp_path / "results")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert sorted(path.stem for path in (tmp_path / "results").iterdir()) == sorted(names)
    resumed = json.loads((tmp_path / "results" / "checkpoints.json").read_text())["resumed"]
    assert resumed[0]["begin_s"] > 0 < resumed[0]["resume_s"]
    assert "PyTorch" not in (tmp_path / "results" / "memory.json").read_text()


def test_an_unknown_bench_is_refused():
    ended = subprocess.run([sys.executable, BENCH / "bench.py", "mnits"], capture_output=True, text=True)
    assert ended.returncode == 2
    assert "there is no bench mnits; there are mnist, speed" in ended.stderr
