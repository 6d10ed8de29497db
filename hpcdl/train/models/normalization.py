"""Response normalisation over neighbouring channels, as AlexNet and GoogLeNet have it. Keras brings none."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("hpcdl")
class LocalResponseNormalization(keras.layers.Layer):
    """Divide each value by (bias + alpha * sum of squares over 2 * radius + 1 channels) ** beta.

    The constants are AlexNet's (section 3.3). Computed in float32, since TensorFlow has no bfloat16 kernel for a CPU.
    """

    def call(self, inputs: Any) -> Any:
        normalized = tf.nn.local_response_normalization(
            tf.cast(inputs, tf.float32), depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75
        )
        return tf.cast(normalized, inputs.dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape
