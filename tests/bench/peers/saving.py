"""Saving and restoring the state of a training: python saving.py hpcdl|keras|torch NETWORK FOLDER TIMES.

The network on images of 32x32x3, with Adam's state, on one process. Prints a line of JSON: seconds of each save and
each restore, bytes on disk. hpcdl's checkpoint has a checksum and is on the disk (fsync) when it returns; Keras and
PyTorch leave that to the system.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.update({"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"})

SHAPE, CLASSES = (32, 32, 3), 10
Saved = tuple[Callable[[], Path], Callable[[Path], object]]
"""Functions that save, and that restore from what was saved."""


def by_hpcdl(network: str, folder: Path) -> Saved:
    from hpcdl.train.checkpoint import capture, load_checkpoint, restore, save_checkpoint
    from hpcdl.train.horovod import HorovodModel
    from hpcdl.train.world import world

    us, model = world(), _keras_model(network, HorovodModel)
    steps = iter(range(1, 1000))

    def save() -> Path:
        info = {"step": next(steps), "ranks": 1}
        return save_checkpoint(folder, info["step"], capture(model, us), info, keep=2)

    def load(path: Path) -> None:
        found = load_checkpoint(folder)
        assert found
        restore(model, us, *found)

    return save, load


def by_keras(network: str, folder: Path) -> Saved:
    import keras

    model, path = _keras_model(network, keras.Model), folder / "model.keras"

    def save() -> Path:
        model.save(path)
        return path

    return save, keras.models.load_model


def by_torch(network: str, folder: Path) -> Saved:
    import torch
    from torch_networks import NETWORKS

    model, path = NETWORKS[network](SHAPE, CLASSES), folder / "model.pt"
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    model(torch.zeros(2, 3, 32, 32)).sum().backward()
    optimizer.step()

    def save() -> Path:
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
        return path

    def load(path: Path) -> None:
        found = torch.load(path)
        model.load_state_dict(found["model"])
        optimizer.load_state_dict(found["optimizer"])

    return save, load


def _keras_model(network: str, kind: Any) -> Any:
    import keras

    from hpcdl.train.models.network import build_network

    model = kind(*build_network(network, {}, SHAPE, CLASSES))
    model.compile(keras.optimizers.Adam(), "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    return model


def main() -> None:
    side, network, folder, times = sys.argv[1:]
    save, load = {"hpcdl": by_hpcdl, "keras": by_keras, "torch": by_torch}[side](network, Path(folder))
    save_s, load_s, size = [], [], 0
    for _ in range(int(times)):
        began = time.perf_counter()
        path = save()
        save_s.append(round(time.perf_counter() - began, 4))
        size = path.stat().st_size
        began = time.perf_counter()
        load(path)
        load_s.append(round(time.perf_counter() - began, 4))
    print(json.dumps({"save_s": save_s, "load_s": load_s, "mb": round(size / 1e6, 2)}))


if __name__ == "__main__":
    main()
