"""From a job's `train:` section to what Keras needs: precision, optimizer, learning rate, loss, augmentation."""

import math
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from hpcdl.training import Augmentation, Optimizer, Schedule, Training

OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "sgd": keras.optimizers.SGD,
    "rmsprop": keras.optimizers.RMSprop,
}
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
FAST_BFLOAT16 = {"amx_bf16", "avx512_bf16"}
"""Flags of x86 processors that multiply bfloat16 in hardware; without them it is slower than float32."""


@keras.saving.register_keras_serializable("hpcdl")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """The one-cycle learning rate: a cosine up to the highest rate and a longer cosine down.

    Source: L. Smith and N. Topin, Super-Convergence, https://arxiv.org/abs/1708.07120.

    Args:
        highest: the highest rate.
        steps: steps of the whole run; the rate stays at its last value after them.
        warmup: the part of the steps in which the rate rises, 0..1.
        start, end: the first and the last rate as parts of the highest one.
    """

    def __init__(self, highest: float, steps: int, warmup: float, start: float, end: float):
        self.highest, self.steps, self.warmup, self.start, self.end = highest, steps, warmup, start, end

    def __call__(self, step: Any) -> Any:
        position = tf.minimum(tf.cast(step, tf.float32) / max(self.steps - 1, 1), 1.0)
        rising = position / max(self.warmup, 1e-9)
        falling = (position - self.warmup) / (1 - self.warmup)
        return self.highest * tf.where(
            position < self.warmup, _cosine(self.start, 1.0, rising), _cosine(1.0, self.end, falling)
        )

    def get_config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("highest", "steps", "warmup", "start", "end")}


def choose_precision(training: Training) -> str:
    """Return float32, bfloat16 or float16; `auto` is bfloat16 where this machine multiplies it fast, else float32."""
    if training.precision != "auto":
        return training.precision
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
        return "bfloat16" if capability >= (8, 0) else "float32"
    return "bfloat16" if FAST_BFLOAT16 & _processor_flags() else "float32"


def make_optimizer(optimizer: Optimizer, schedule: Schedule, precision: str, steps: int) -> Any:
    """Return the Keras optimizer; `steps` is the number of steps of the whole run."""
    rate: Any = optimizer.learning_rate
    if schedule.name == "one_cycle":
        rate = OneCycle(optimizer.learning_rate, steps, schedule.warmup, schedule.start, schedule.end)
    made = OPTIMIZERS[optimizer.name](learning_rate=rate, **optimizer.arguments)
    return keras.optimizers.LossScaleOptimizer(made) if precision == "float16" else made


def augment(images: Any, augmentation: Augmentation, seed: Any, first: int, total: int) -> Any:
    """Return randomly changed images; the same global batch is changed alike on any number of ranks.

    Args:
        images: shape (batch, height, width, channels), this rank's part of the global batch.
        seed: int32, shape (2,): seed and step.
        first, total: where the part begins in the global batch, and how many images that has.
    """
    if not augmentation.shift:
        return images
    reach = augmentation.shift
    height, width = images.shape[1:3]
    batch = tf.shape(images)[0]
    offsets = tf.random.stateless_uniform((total, 2), seed, 0, 2 * reach + 1, tf.int32)[first : first + batch]
    padded = tf.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    rows = offsets[:, :1] + tf.range(height)[None]  # (batch, height): the padded rows that each image shows
    columns = offsets[:, 1:] + tf.range(width)[None]
    return tf.gather(tf.gather(padded, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)


def _cosine(first: float, last: float, part: Any) -> Any:
    return last + (first - last) * (1 + tf.cos(math.pi * tf.clip_by_value(part, 0.0, 1.0))) / 2


def _processor_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())
