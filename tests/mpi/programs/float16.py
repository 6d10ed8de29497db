"""Train in float16 while only rank 1's gradients overflow, by both ways in, and write what each rank holds: OUTPUT."""

import json
import sys
from pathlib import Path

import keras
import numpy as np

from hpcdl.train import horovod
from hpcdl.train.data import load_dataset
from hpcdl.train.world import world

us = world()
keras.config.set_dtype_policy("mixed_float16")
data = load_dataset("digits")
images, labels = horovod.shard(data.train_inputs.astype(np.float32) / 255, data.train_targets)
images[:32] *= 6e4 if us.rank == 1 else 1  # the first batch of rank 1 only
SCALE = 2.0**10


def network():
    keras.utils.set_random_seed(3)
    inputs = keras.layers.Input((28, 28, 1))
    x = keras.layers.Dense(16, activation="relu")(keras.layers.Flatten()(inputs))
    return inputs, keras.layers.Dense(10, activation="softmax", dtype="float32")(x)


def train(model, optimizer, batches):
    model.compile(optimizer, "sparse_categorical_crossentropy")
    model.fit(images[: 32 * batches], labels[: 32 * batches], batch_size=32, shuffle=False, verbose=0)
    return {"weights": horovod.weight_hash(model), "scale": float(model.optimizer.dynamic_scale.value.numpy())}


def scaled(optimizer):
    return keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=SCALE)


results = {}
for batches in (1, 8):
    results[f"model {batches}"] = train(horovod.HorovodModel(*network()), scaled(keras.optimizers.SGD(0.01)), batches)
    ours = horovod.DistributedOptimizer(scaled(keras.optimizers.SGD(0.01)))
    results[f"optimizer {batches}"] = train(keras.Model(*network()), ours, batches)
results["wrapped"] = train(keras.Model(*network()), horovod.DistributedOptimizer(keras.optimizers.SGD(0.01)), 8)
everyone = us.allgather(results)
if us.rank == 0:
    Path(sys.argv[1]).write_text(json.dumps(everyone))
