"""Train a few steps in each of the ways that hpcdl offers and save the weights: OUTPUT GLOBAL_BATCH [alone].

With `alone` the allreduce is taken out, which the tests must notice.
"""

import dataclasses
import sys

import keras
import numpy as np

from hpcdl.train import horovod, trainer
from hpcdl.train.data import load_dataset
from hpcdl.train.data.stream import Stream
from hpcdl.train.world import world
from hpcdl.training import Optimizer, Training

STEPS = 6
output, global_batch = sys.argv[1], int(sys.argv[2])
us = world()
if "alone" in sys.argv:
    horovod.allreduce_gradients = lambda gradients, wire=None: gradients

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


def whole_trainer(data=data):
    training = Training(
        model="mnist_cnn",
        data="digits",
        epochs=1,
        batch_size=batch,
        optimizer=Optimizer(name="sgd", learning_rate=0.05, momentum=0.9),
        augment={"shift": 2},
    )
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
    return whole_trainer(dataclasses.replace(digits, train_inputs=inputs))


ways = [
    functional,
    sequential,
    micro_batches,
    optimizer,
    optimizer_adam,
    optimizer_late_weights,
    whole_trainer,
    streamed,
]
weights = {}
for way in ways:
    model = way()
    weights[way.__name__] = np.concatenate([np.ravel(weight) for weight in model.get_weights()])
    hashes = us.allgather(horovod.weight_hash(model))
    weights[f"{way.__name__}_equal"] = np.array(len(set(hashes)) == 1)
if us.rank == 0:
    np.savez(output, **weights)
