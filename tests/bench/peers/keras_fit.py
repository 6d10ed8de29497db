"""Training by Keras's own `fit`, the arrays in memory.

    python keras_fit.py NETWORK DATA.npz BATCH EPOCHS OPTIMIZER POLICY

The network is hpcdl's by the same code. POLICY is float32 or mixed_bfloat16. Prints a line of JSON.
"""

import json
import os
import sys
import time

os.environ.update({"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"})

import keras
import numpy as np
import tensorflow as tf

from hpcdl.train.models.network import build_network

FIRST_STEPS = 20


class Clock(keras.callbacks.Callback):
    """Notes how long each epoch takes, and when the first steps are done."""

    def __init__(self) -> None:
        super().__init__()
        self.epoch_s: list[float] = []
        self.first_steps_s: float | None = None

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        if not self.epoch_s and batch + 1 == FIRST_STEPS:
            self.first_steps_s = time.time() - float(os.environ["BENCH_BEGAN"])

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.epoch_s.append(time.perf_counter() - self._began)


def main() -> None:
    network, file, batch, epochs, optimizer_name, policy = sys.argv[1:]
    tf.config.threading.set_intra_op_parallelism_threads(len(os.sched_getaffinity(0)))
    keras.utils.set_random_seed(1)
    keras.config.set_dtype_policy(policy)
    with np.load(file) as archive:
        images, labels = archive["x_train"].astype(np.float32) / 255, archive["y_train"]
    model = keras.Model(*build_network(network, {}, images.shape[1:], int(labels.max()) + 1))
    adam, sgd = keras.optimizers.Adam(0.001), keras.optimizers.SGD(0.01, momentum=0.9)
    optimizer = adam if optimizer_name == "adam" else sgd
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    clock, steps = Clock(), len(labels) // int(batch)
    images, labels = images[: steps * int(batch)], labels[: steps * int(batch)]
    model.fit(images, labels, int(batch), int(epochs), verbose=0, callbacks=[clock])
    said = {"images": len(labels), "epoch_s": clock.epoch_s, "first_steps_s": clock.first_steps_s}
    parameters = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    print(json.dumps(said | {"parameters": parameters, "version": keras.__version__}))


if __name__ == "__main__":
    main()
