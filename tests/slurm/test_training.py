"""The whole way on a real Slurm: render, sbatch, a Horovod training on two nodes, collect."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from slurm_session import Slurm

JOB = """
name: mnist_two_nodes
resources: {nodes: 2, ranks_per_node: 2, gpus_per_node: 2, time: "00:10:00"}
train: {model: mnist_cnn, data: mnist, epochs: 1, batch_size: 256, precision: auto}
slurm: {reservation: course}
expect: {test_accuracy: ">= 0.9"}
"""


@pytest.mark.data
@pytest.mark.mpi
@pytest.mark.slow
def test_a_rendered_job_trains_on_two_nodes_and_is_collected(idle: Slurm, mnist_folder: Path) -> None:
    pytest.importorskip("horovod", reason="needs the trainer's environment")
    folder = idle.folder / "training"
    folder.mkdir()
    (folder / "job.yaml").write_text(JOB)
    settings = Path(os.environ["XDG_CONFIG_HOME"]) / "hpcdl" / "settings.yaml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(f"venv: {sys.prefix}\n")
    _hpcdl("render", str(folder / "job.yaml"), "--site", "jureca", "-o", str(folder / "job.sbatch"))

    variables = {"HPCDL_DATA": str(mnist_folder.parent), "PYTHONPATH": str(Path(__file__).parents[2])}
    submitted = idle.run("sbatch", "--parsable", "job.sbatch", folder=folder, **variables)
    assert submitted.returncode == 0, submitted.stderr
    job = submitted.stdout.strip()
    state = idle.end(job, 400)
    output, error = (folder / f"mnist_{name}.{job}" for name in ("out", "err"))
    assert state == "COMPLETED", error.read_text()

    assert re.search(r"node01: rank 0 .*, 1 .*\n.*node02: rank 2 .*, 3 ", output.read_text())
    assert "gres/gpu=4" in idle.out("sacct", "-X", "--noheader", "--format=AllocTRES%80", f"--jobs={job}")
    (row,) = json.loads(_hpcdl("collect", str(folder / "runs"), "--format", "json"))
    assert (row["job_id"], row["ranks"], row["outcome"], row["epochs_done"]) == (job, 4, "completed", 1)
    assert row["test_accuracy"] > 0.9


def _hpcdl(*words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "hpcdl", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
