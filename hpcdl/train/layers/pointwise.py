"""Keras's convolutions of 1x1 pixels with their kernels' gradients as a product of matrices.

oneDNN's gradient of such a kernel in bfloat16 took 3 to 7 times as long as the product that it is (docs/profile.md);
forward, and for the inputs, its convolutions are fast. The formulas are the same.
"""

from typing import Any

import keras
import tensorflow as tf

from hpcdl.train.layers.stand_in import stands_in_for


@stands_in_for(keras.layers.Conv2D)
class PointwiseConv2D(keras.layers.Conv2D):
    """keras.layers.Conv2D; where it is of 1x1 pixels in bfloat16 on cores, its kernel's gradient is a product."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        fits = self.kernel_size == (1, 1) and self.groups == 1 and self.data_format == "channels_last"
        fits = fits and inputs.dtype == tf.bfloat16 and len(set(self.strides)) == 1
        if not fits or tf.config.get_visible_devices("GPU"):
            return super().convolution_op(inputs, kernel)
        return _convolution(inputs, tf.convert_to_tensor(kernel), self.strides[0])


def _convolution(inputs: Any, kernel: Any, stride: int) -> Any:
    strides = [1, stride, stride, 1]

    @tf.custom_gradient
    def convolution(inputs: Any, kernel: Any) -> tuple[Any, Any]:
        def gradients(of_outputs: Any) -> tuple[Any, Any]:
            of_inputs = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(inputs), filter=kernel, out_backprop=of_outputs, strides=strides, padding="VALID"
            )
            # An average over one pixel: those that the convolution takes, much sooner than by a slice with steps.
            taken = tf.nn.avg_pool2d(inputs, 1, stride, "VALID") if stride > 1 else inputs
            pixels, of_pixels = (tf.reshape(tensor, [-1, tensor.shape[-1]]) for tensor in (taken, of_outputs))
            return of_inputs, tf.reshape(tf.matmul(pixels, of_pixels, transpose_a=True), kernel.shape)

        return tf.nn.conv2d(inputs, kernel, strides, "VALID"), gradients

    return convolution(inputs, kernel)
