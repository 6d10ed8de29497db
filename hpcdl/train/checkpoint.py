"""Saving a model so that a reader never finds half of one."""

import os
from pathlib import Path

import keras

MODEL_FILE = "model.keras"


def save_model(model: keras.Model, path: Path) -> None:
    """Write a functional model as plain Keras, which loads where hpcdl is not installed. One rank calls it.

    It goes to a temporary name in the same folder, is synced and renamed: Keras itself writes in place.
    """
    plain = keras.Model(model.inputs, model.outputs, name=model.name)
    temporary = path.with_name(f".tmp-{path.name}")
    try:
        plain.save(temporary)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
