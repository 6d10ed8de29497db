"""Keras's convolutions with their kernels' gradients as products of matrices.

In bfloat16 on cores oneDNN takes 3 to 7 times as long for the gradient of a kernel of 1x1 pixels as the product that it
is, and longer than a product for each pixel of a larger kernel where many channels meet few positions (docs/profile.md
has the figures). Forward, and for the inputs, its convolutions are fast. The formulas are the same.
"""

from typing import Any

import keras
import tensorflow as tf

from hpcdl.train.layers.stand_in import stands_in_for

FEW_POSITIONS = 8 * 8
MANY_CHANNELS = 128 * 128
"""Inputs times outputs."""


@stands_in_for(keras.layers.Conv2D)
class ConvolutionByProducts(keras.layers.Conv2D):
    """keras.layers.Conv2D; where a product is faster for its kernel's gradient, it is made by products."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        fits = inputs.dtype == tf.bfloat16 and self.groups == 1 and self.data_format == "channels_last"
        fits = fits and set(self.dilation_rate) == {1} and len(set(self.strides)) == 1
        outputs = self.compute_output_shape(inputs.shape)[1:3]
        if not fits or None in outputs or tf.config.get_visible_devices("GPU"):
            return super().convolution_op(inputs, kernel)
        channels = inputs.shape[-1] * self.filters
        few = self.strides[0] == 1 and outputs[0] * outputs[1] <= FEW_POSITIONS and channels >= MANY_CHANNELS
        if not few and self.kernel_size != (1, 1):
            return super().convolution_op(inputs, kernel)
        return _convolution(inputs, tf.convert_to_tensor(kernel), self.strides[0], self.padding.upper())


def _convolution(inputs: Any, kernel: Any, stride: int, padding: str) -> Any:
    strides = [1, stride, stride, 1]

    @tf.custom_gradient
    def convolution(inputs: Any, kernel: Any) -> tuple[Any, Any]:
        def gradients(of_outputs: Any) -> tuple[Any, Any]:
            of_inputs = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(inputs), filter=kernel, out_backprop=of_outputs, strides=strides, padding=padding
            )
            return of_inputs, _kernel_gradient(inputs, of_outputs, kernel.shape, stride, padding)

        return tf.nn.conv2d(inputs, kernel, strides, padding), gradients

    return convolution(inputs, kernel)


def _kernel_gradient(inputs: Any, of_outputs: Any, shape: Any, stride: int, padding: str) -> Any:
    """Return the gradient of a kernel (height, width, channels, filters): for each of its pixels the product of what it
    saw, transposed, and the gradients of what became of that. With a stride the kernel has one pixel."""
    height, width, channels, filters = shape
    if stride > 1:  # an average over one pixel takes those that the convolution takes, sooner than a slice with steps
        inputs = tf.nn.avg_pool2d(inputs, 1, stride, "VALID")
    if padding == "SAME":
        before = [(size - 1) // 2 for size in (height, width)]
        margins = [[first, size - 1 - first] for first, size in zip(before, (height, width), strict=True)]
        inputs = tf.pad(inputs, [[0, 0], *margins, [0, 0]])
    rows, columns = of_outputs.shape[1:3]
    of_outputs = tf.reshape(of_outputs, [-1, filters])
    products = [
        tf.matmul(tf.reshape(inputs[:, y : y + rows, x : x + columns], [-1, channels]), of_outputs, transpose_a=True)
        for y in range(height)
        for x in range(width)
    ]
    return tf.reshape(tf.stack(products), shape)
