"""Train a network with batch normalisation and dropout by Keras's own `fit` and write what each rank holds: OUTPUT."""

import json
import sys
from pathlib import Path

import keras
import numpy as np

from hpcdl.train import horovod
from hpcdl.train.data import load_dataset
from hpcdl.train.world import world

us = world()
data = load_dataset("digits")
images, labels = data.train_inputs.astype(np.float32) / 255, data.train_targets
test_inputs, test_targets = data.test_inputs.astype(np.float32) / 255, data.test_targets

keras.utils.set_random_seed(3 + us.rank)  # other weights on every rank: the broadcast must put that right
inputs = keras.layers.Input((28, 28, 1))
x = keras.layers.Flatten()(inputs)
x = keras.layers.Dense(32, activation="relu")(x)
x = keras.layers.BatchNormalization()(x)
x = keras.layers.Dropout(0.5)(x)
model = horovod.HorovodModel(inputs, keras.layers.Dense(10, activation="softmax")(x))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])


class Spy(keras.callbacks.Callback):
    """Keeps the ranks' own statistics of the last step, before they are averaged."""

    def on_train_batch_end(self, batch, logs=None):
        layer = next(layer for layer in self.model.layers if isinstance(layer, keras.layers.BatchNormalization))
        self.before = [layer.moving_mean.value.numpy(), layer.moving_variance.value.numpy()]
        self.train_logs = dict(logs)


spy = Spy()
mine = horovod.shard(images, labels)
history = model.fit(
    *mine, batch_size=32, epochs=2, verbose=0, callbacks=[spy], validation_data=horovod.shard(test_inputs, test_targets)
)
normalisation = next(layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization))
seeds = [v.value.numpy().tolist() for v in model.non_trainable_variables if "seed_generator_state" in v.path]
probabilities = model.predict(test_inputs, verbose=0)
everyone = us.allgather(
    {
        "weights": horovod.weight_hash(model),
        "history": history.history,
        "before": [value.tolist() for value in spy.before],
        "after": [
            normalisation.moving_mean.value.numpy().tolist(),
            normalisation.moving_variance.value.numpy().tolist(),
        ],
        "seeds": seeds,
        "local_accuracy": float(spy.train_logs["accuracy"]),
        "true_accuracy": float((probabilities.argmax(axis=1) == test_targets).mean()),
    }
)
if us.rank == 0:
    Path(sys.argv[1]).write_text(json.dumps(everyone))
