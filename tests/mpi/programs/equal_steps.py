"""Train a few steps in each of the ways that hpcdl offers and save the weights: OUTPUT GLOBAL_BATCH [alone].

With `alone` what the ranks tell each other in a step is taken out, which the tests must notice.
"""

import dataclasses
import sys
from contextlib import nullcontext
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from hpcdl.train import horovod, trainer
from hpcdl.train.data import load_dataset
from hpcdl.train.data.stream import Stream
from hpcdl.train.ema import WeightAverage, averaged
from hpcdl.train.layers import gathered_dense
from hpcdl.train.world import world
from hpcdl.training import Training

STEPS = 6
output, global_batch = sys.argv[1], int(sys.argv[2])
us = world()
if "alone" in sys.argv:
    horovod.allreduce_gradients = lambda gradients, *more: gradients
    gathered_dense.gather = lambda rows, name: tf.concat([rows] * us.size, axis=0)

data = load_dataset("digits")
images = data.train_inputs[: STEPS * global_batch].astype(np.float32) / 255
targets = np.eye(10, dtype=np.float32)[data.train_targets[: STEPS * global_batch]]
batch = global_batch // us.size
mine = np.arange(STEPS * global_batch).reshape(STEPS, us.size, batch)[:, us.rank].ravel()  # as an epoch deals them


def network():
    keras.utils.set_random_seed(7)
    inputs = keras.layers.Input((28, 28, 1))
    x = keras.layers.Conv2D(4, 5, strides=2, activation="relu")(inputs)
    x = keras.layers.Flatten()(x)
    return inputs, keras.layers.Dense(10, activation="softmax")(x)


def sgd():
    return keras.optimizers.SGD(0.05, momentum=0.9, global_clipnorm=1.0)


def fit(model, optimizer, epochs=1):
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    model.fit(images[mine], targets[mine], batch_size=batch, epochs=epochs, shuffle=False, verbose=0)
    return model


def functional():
    return fit(horovod.HorovodModel(*network()), sgd())


def sequential():
    keras.utils.set_random_seed(7)
    layers = [keras.layers.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
    return fit(horovod.HorovodSequential(layers), sgd())


def micro_batches():
    model = horovod.HorovodModel(*network())
    model.micro_batches = 3
    return fit(model, sgd())


def optimizer():
    return fit(keras.Model(*network()), horovod.DistributedOptimizer(sgd()))


def optimizer_adam():
    return fit(keras.Model(*network()), horovod.DistributedOptimizer(keras.optimizers.Adam(1e-3, epsilon=1e-3)))


def optimizer_late_weights():
    """A model without an input shape: it gets its weights in the first step, on every rank others."""
    keras.utils.set_random_seed(7 + us.rank)
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")])
    return fit(model, horovod.DistributedOptimizer(sgd()))


RECIPES = {
    "trainer": {
        "optimizer": {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "bias_factor": 4},
        "augment": {"shift": 2},
    },
    "trainer_lars": {
        "optimizer": {
            "name": "lars",
            "learning_rate": 5.0,
            "momentum": 0.9,
            "weight_decay": 0.01,
            "scale": "linear",
            "reference_batch": 32,
            "global_clipnorm": 1.0,
        },
        "schedule": {"name": "cosine", "warmup": 0.5},
        "penalty": {"l1": 1e-5, "l2": 1e-4},
        "label_smoothing": 0.1,
        "normalize": {"mean": [0.13], "std": [0.31]},
    },
    "trainer_lamb": {
        "optimizer": {"name": "lamb", "learning_rate": 0.01, "epsilon": 1e-3, "weight_decay": 0.01},
        "schedule": {"name": "step", "milestones": [0.5]},
        "ema": 0.9,
        "micro_batches": 2,
        "augment": {"mixup": 0.4, "cutmix": 1.0},
    },
    "trainer_images": {  # without a pooling: over flat borders it would choose between values that nearly tie
        "model": {"name": "mlp", "dropout": 0},
        "optimizer": {"name": "rmsprop", "learning_rate": 0.001, "epsilon": 1e-3},
        "augment": {"flip": "alternate", "crop": 0.5, "rotate": 20, "translate": 0.1, "brightness": 0.3, "cutout": 5},
    },
    "trainer_adam_allreduce": {
        "optimizer": {"name": "adam", "learning_rate": 0.001, "epsilon": 1e-3},
        "horovod": {"gather_dense": False, "bucket_mib": 0.01},
    },
    "trainer_adam": {"optimizer": {"name": "adam", "learning_rate": 0.001, "epsilon": 1e-3}},
    "trainer_wire": {
        "optimizer": {"name": "sgd", "learning_rate": 0.05, "clipvalue": 0.01},
        "horovod": {"wire": "float16"},
    },
}


def train_recipe(recipe, data=data):
    training = Training(**{"model": "mnist_cnn", "data": "digits", "epochs": 1, "batch_size": batch, **recipe})
    keras.utils.set_random_seed(7)
    model = trainer.build_model(training, data, "float32", STEPS)
    horovod.synchronize(model)
    order = trainer.epoch_order(training, 1, len(data.train_inputs), STEPS, us)
    run_steps = trainer.compile_steps(model, data, training, us)
    for number, (block, inputs, _) in enumerate(trainer.feed(data.train_inputs, [order[:4], order[4:]])):
        run_steps(block, 4 * number, *inputs)
    return model


def streamed():
    """The whole trainer on images that threads read; the blocks of feed() bring them along."""
    digits = data
    inputs = Stream(lambda row: digits.train_inputs[row], range(len(digits.train_inputs)), (28, 28, 1), np.uint8, "")
    return train_recipe(RECIPES["trainer"], dataclasses.replace(digits, train_inputs=inputs))


def averaged_statistics():
    """Batch normalisation and a moving average: what is evaluated must be the same on all ranks."""
    keras.utils.set_random_seed(7)
    inputs, outputs = network()
    model = horovod.HorovodModel(inputs, keras.layers.BatchNormalization()(outputs))
    model.average = WeightAverage(model, 0.9)
    fit(model, sgd())
    horovod.average_statistics(model)
    with averaged(model):
        horovod.average_statistics(model)
        shown = np.concatenate([np.ravel(weight) for weight in model.get_weights()])
    hidden = np.concatenate([np.ravel(weight) for weight in model.get_weights()])
    return shown, hidden


ways = [functional, sequential, micro_batches, optimizer, optimizer_adam, optimizer_late_weights, streamed]
trained = {way.__name__: way for way in ways}
trained |= {name: partial(train_recipe, recipe) for name, recipe in RECIPES.items()}
weights, filled = {}, []
fill = horovod.buckets
horovod.buckets = lambda *arguments: filled.append(fill(*arguments)) or filled[-1]
for name, way in trained.items():
    filled.clear()
    model = way()
    weights[f"{name}_buckets"] = np.array(max(map(len, filled), default=0))
    weights[f"{name}_gathered"] = np.array(len(model.gathered if isinstance(model, horovod.HorovodModel) else ()))
    hashes = us.allgather(horovod.weight_hash(model))
    weights[f"{name}_equal"] = np.array(len(set(hashes)) == 1)
    with averaged(model) if name in RECIPES else nullcontext():
        weights[name] = np.concatenate([np.ravel(weight) for weight in model.get_weights()])
everyone = us.allgather(averaged_statistics())
weights["statistics_equal"] = np.array(all(np.array_equal(theirs, everyone[0]) for theirs in everyone))
weights["average_differs"] = np.array(np.abs(everyone[0][0] - everyone[0][1]).max())
if us.rank == 0:
    np.savez(output, **weights)
