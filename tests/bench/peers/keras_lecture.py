"""The lecture's script in Keras 3: python keras_lecture.py MNIST.npz [EPOCHS].

As the lecture has it: float32, Adam, batches of 128, 20 epochs, a fifth of the images for validation. It looks at the
test images after every epoch as well, to see when they are first read well enough; that time is taken off again.
Prints a line of JSON.
"""

import json
import os
import sys
import time

os.environ.update({"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"})

import keras
import numpy as np
from keras import layers


class Watch(keras.callbacks.Callback):
    """Notes after each epoch the seconds since the program was started and the accuracy on the test images."""

    def __init__(self, images: np.ndarray, labels: np.ndarray):
        super().__init__()
        self._test = images, labels
        self.looking_s = 0.0
        self.epochs: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        began = time.time()
        time_s = began - float(os.environ["BENCH_BEGAN"]) - self.looking_s
        outputs = np.concatenate([self.model(part, training=False) for part in np.array_split(self._test[0], 10)])
        accuracy = float(np.mean(outputs.argmax(axis=1) == self._test[1].argmax(axis=1)))
        self.epochs.append({"epoch": epoch + 1, "time_s": round(time_s, 2), "test_accuracy": round(accuracy, 4)})
        self.looking_s += time.time() - began


def main() -> None:
    with np.load(sys.argv[1]) as archive:
        x_train, x_test = (archive[name].astype(np.float32) / 255 for name in ("x_train", "x_test"))
        y_train, y_test = (keras.utils.to_categorical(archive[name], 10) for name in ("y_train", "y_test"))
    model = keras.Sequential(
        [
            layers.Input(x_train.shape[1:]),
            layers.Conv2D(20, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(2, 2),
            layers.Conv2D(50, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(2, 2),
            layers.Flatten(),
            layers.Dense(500, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(loss="categorical_crossentropy", optimizer=keras.optimizers.Adam(), metrics=["accuracy"])
    watch = Watch(x_test, y_test)
    epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    model.fit(x_train, y_train, batch_size=128, epochs=epochs, verbose=2, validation_split=0.2, callbacks=[watch])
    score = model.evaluate(x_test, y_test, verbose=0)
    print("Test score:", score[0])
    print("Test accuracy:", score[1])
    print(json.dumps({"epochs": watch.epochs, "looking_s": watch.looking_s, "version": keras.__version__}))


if __name__ == "__main__":
    main()
