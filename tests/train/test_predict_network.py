"""`hpcdl predict` of a network that must be built to be counted."""

import pytest
from typer.testing import CliRunner

from hpcdl.cli import app

JOB = """\
name: small
resources: {nodes: 1, ranks_per_node: 1, time: "00:10:00"}
train: {model: MODEL, data: {name: synthetic, num_train: 640, shape: SHAPE}, epochs: 1, batch_size: 64}
"""


@pytest.mark.parametrize(
    ("model", "shape", "parameters"),
    [
        ("{name: mlp, hidden: 64}", "[28, 28, 1]", 784 * 64 + 64 + 64 * 10 + 10),
        ("resnet20_cifar", "[16, 16, 3]", 269_722),  # trained ones: without the statistics of batch normalisation
    ],
)
def test_its_gradients_are_those_of_the_trained_parameters(model, shape, parameters, tmp_path):
    (tmp_path / "job.yaml").write_text(JOB.replace("MODEL", model).replace("SHAPE", shape))
    options = ["--site", "local", "--images-per-second", "1000", "--bandwidth", "1", "--nodes", "1"]
    ran = CliRunner().invoke(app, ["predict", str(tmp_path / "job.yaml"), *options])
    assert ran.exception is None
    assert f"gradients: {parameters:,} x float32" in ran.stdout
