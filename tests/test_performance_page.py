"""docs/performance.md says what the stored figures say, and the benches run."""

import doctest
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
    shown = page.RESULTS.with_suffix(".md").read_text()
    assert shown == page.make(page.read(page.RESULTS)), "make it anew with `make bench-page`"


def test_the_readme_shows_the_same_table(page):
    text = page.README.read_text()
    assert text == page.with_table(text, page.summary(page.read(page.RESULTS))), "write it anew with `make bench-page`"


def test_each_picture_of_the_page_is_there(page):
    lines = page.RESULTS.with_suffix(".md").read_text().splitlines()
    shown = [line for line in lines if line.startswith("![")]
    assert len(shown) == sum(bool(page.SECTIONS[name].plot) for name in page.read(page.RESULTS))
    for line in shown:
        assert (page.RESULTS.parent / line.partition("](")[2].rstrip(")")).is_file(), line


def test_harness_and_page_do_as_their_examples_say(page):
    assert doctest.testmod(sys.modules["harness"]) == (0, 2)
    assert doctest.testmod(page) == (0, 1)


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
    assert "until epoch 2, the first at the goal | 1 | 200 |" in text
    assert "| `hpcdl run jobs/slow.yaml` | 1 | 20.0 | 0.9940 | 10.0 | 10.5 |" in text
    figures["lecture"] = {**LECTURE, "epochs": LECTURE["epochs"][:1]}
    assert "No epoch of the script's run reached 99.27%" in page.make(found("mnist", **figures))


def test_each_bench_measures_its_sides_in_turns_and_shows_them(page, monkeypatch, tmp_path):
    """All but the trainings themselves: their sides, rounds, text and picture."""
    calls = []

    def fake(side):
        def train(task, *more):
            calls.append(side)
            return rounds(100.0 * len(calls))[0] | {"memory_mb": 300.0, "parameters": 1_000}

        return train

    for bench in (page.networks, page.memory):
        monkeypatch.setattr(bench, "make_data", lambda path, *size, **more: path)
    for bench in (page.speed, page.networks, page.parallel, page.memory):
        for side in ("by_hpcdl", "by_hpcdl_apart", "by_keras", "by_torch"):
            monkeypatch.setattr(bench, side, fake(side), raising=False)
        monkeypatch.setattr(bench, "with_torch", lambda sides: sides, raising=False)
    monkeypatch.setattr(sys.modules["trainings"], "make_data", lambda path, *size, **more: path)
    monkeypatch.setattr(page.speed, "_matrix_rate", lambda: rounds(1800.0)[0])

    whole = {}
    for name in ("speed", "parallel", "networks", "memory"):
        whole |= found(name, **json.loads(json.dumps(page.BENCHES[name].measure(quick=False))))
    assert len(whole["speed"]["trained"]) == 6
    assert all(len(each) == page.speed.ROUNDS for each in whole["speed"]["trained"].values())
    assert calls[:4] == ["by_hpcdl", "by_hpcdl", "by_keras", "by_keras"]
    assert len(whole["memory"]["by_data"]) == len(whole["memory"]["by_model"]) == 3
    text = page.make(whole)
    page.draw(whole, tmp_path)
    for name in whole:
        assert f"## {page.BENCHES[name].TITLE}\n" in text
        assert (tmp_path / f"performance-{name}.svg").exists() == bool(page.BENCHES[name].plot)


@pytest.mark.slow
@pytest.mark.mpi
def test_the_benches_run(tmp_path):
    """In their quick form, on a machine without PyTorch; each writes its JSON. (Others make the same trainings.)"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HPCDL_BENCH_VENV": str(tmp_path / "none")}
    names = ["commands", "mnist", "memory", "checkpoints"]
    command = [sys.executable, str(BENCH / "bench.py"), *names, "--quick", "-o", str(tmp_path / "results")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert sorted(path.stem for path in (tmp_path / "results").iterdir()) == sorted(names)
    resumed = json.loads((tmp_path / "results" / "checkpoints.json").read_text())["resumed"]
    assert resumed[0]["begin_s"] > 0 < resumed[0]["resume_s"]
    assert "PyTorch" not in (tmp_path / "results" / "memory.json").read_text()


def test_the_benches_that_are_programs_take_their_options(page):
    for bench in page.BENCHES.values():
        if isinstance(bench, page.Script):
            told = subprocess.run([sys.executable, bench.program, "--help"], capture_output=True, text=True, check=True)
            assert all(option in told.stdout for option in bench.options + bench.quick if option.startswith("--"))


def test_an_unknown_bench_is_refused():
    ended = subprocess.run([sys.executable, BENCH / "bench.py", "mnits"], capture_output=True, text=True)
    assert ended.returncode == 2
    assert "there is no bench mnits; there are mnist, speed" in ended.stderr
