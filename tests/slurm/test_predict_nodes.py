"""`hpcdl predict-images` under srun on two nodes: the same files as from one rank."""

import hashlib
import re
import sys
from pathlib import Path

import pytest
from slurm_session import Slurm
from test_chain_run import PATHS
from test_submitted import User


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.mpi
@pytest.mark.slow
def test_two_nodes_write_the_bytes_of_one_rank(idle: Slurm):
    pytest.importorskip("horovod", reason="needs the trainer's environment")
    import keras

    user = User(idle, idle.folder / "predict")
    keras.utils.set_random_seed(1)
    inputs = keras.layers.Input((28, 28, 1))
    outputs = keras.layers.Dense(10, activation="softmax")(keras.layers.Flatten()(inputs))
    keras.Model(inputs, outputs).save(user.folder / "model.keras")
    for nodes in (1, 2):
        (user.folder / str(nodes)).mkdir()
    say = 'echo "$(hostname) $SLURM_NTASKS"'
    words = [sys.executable, "-m", "hpcdl", "predict-images", f"{user.folder}/model.keras", "digits"]
    runs = [
        user.job(
            f"on{nodes}",
            ["bash", "-c", f"{say}; exec {' '.join(words)} -o {user.folder}/{nodes}/out.csv"],
            resources={"nodes": nodes, "memory_per_node_gib": 4},
        )
        for nodes in (1, 2)
    ]
    folders = []
    for run in runs:
        done = user.hpcdl("submit", run.name, "--site", "jureca", **PATHS)
        assert done.returncode == 0, done.stderr
        folders.append(user.folder / re.search(r"Run folder  (\S+)", done.stdout)[1])  # type: ignore[index]
    for folder in folders:
        user.wait(folder, "COMPLETED", "FAILED", seconds=200)
    (log,) = folders[1].glob("on2_out.*")
    assert len(set(re.findall(r"^(node\d+) 2$", log.read_text(), re.MULTILINE))) == 2, "two ranks on two nodes"
    assert "360 of 360 inputs predicted" in log.read_text()
    assert digests(user.folder / "1") == digests(user.folder / "2")
    assert "out.csv" in digests(user.folder / "1")
