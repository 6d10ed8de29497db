"""Two ranks transfer as one rank does: the same features to the last bit, the same stages, in step."""

import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

pytestmark = [pytest.mark.mpi, pytest.mark.slow]

JOB = """
name: {name}
resources: {{nodes: 1, time: "00:10:00"}}
train:
  model: mnist_cnn
  data: {{name: digits, classes: {classes}, per_class: 32}}
  epochs: {epochs}
  batch_size: 16
  optimizer: {{name: sgd, learning_rate: 0.05, momentum: 0.9}}
"""
STAGES = "unfreeze: [{epoch: 2, layers: [dense], learning_rate_factor: 0.5}, {epoch: 3, layers: ['conv2d_1:']}]"


def train(folder: Path, name: str, ranks: int, transfer: str | None = None, classes: str = "[5, 6, 7, 8, 9]") -> str:
    """Train a job in runs/NAME-RANKS-... and return what it printed."""
    section = f"  transfer: {{{transfer}}}\n" if transfer else ""
    (folder / f"{name}.yaml").write_text(JOB.format(name=f"{name}-{ranks}", epochs=3, classes=classes) + section)
    command = [
        sys.executable,
        "-m",
        "hpcdl",
        "run",
        f"{name}.yaml",
        "-n",
        str(ranks),
        "--set",
        f"train.batch_size={32 // ranks}",
    ]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def weights(folder: Path, name: str) -> list[np.ndarray]:
    return keras.models.load_model(next(folder.glob(f"runs/{name}-*/model.keras"))).get_weights()


def test_two_ranks_with_half_the_batch_reach_what_one_reaches(tmp_path):
    train(tmp_path, "source", 1, classes="[0, 1, 2, 3, 4]")
    source = weights(tmp_path, "source")
    for name, transfer in {"head": "", "stages": STAGES}.items():
        for ranks in (1, 2):
            said = train(tmp_path, name, ranks, f"weights: 'runs/source-*', head: new, {transfer}".rstrip(", "))
            assert re.search(r"^Weights \w+ on all", said, re.MULTILINE)
        one, two = (weights(tmp_path, f"{name}-{ranks}") for ranks in (1, 2))
        for mine, other in zip(two, one, strict=True):
            np.testing.assert_allclose(mine, other, rtol=0, atol=2e-6)
        still = [(new == old).all() for new, old in zip(two[:-2], source[:-2], strict=True)]
        assert still == ([True] * 6 if name == "head" else [True] * 2 + [False] * 4)
        assert np.abs(one[-2] - source[-2]).max() > 0.01

    refused = subprocess.run(
        [sys.executable, "-m", "hpcdl", "run", "head.yaml", "-n", "2", "--set", "train.model=lenet5"],
        cwd=tmp_path, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert refused.returncode == 2
    assert refused.stderr.count("is of another network than train.model") == 1
