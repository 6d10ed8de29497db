"""Large dense layers without an allreduce of their kernels' gradients.

The gradient of a dense kernel is a product: inputs, transposed, times the gradients of the outputs. Over a batch these
are often far fewer numbers than the kernel. So the ranks gather them instead, and each multiplies those of all ranks:
the same gradient of the global batch, in one product. Known as sufficient factors (P. Xie et al.,
https://arxiv.org/abs/1512.06216), here as there beside an allreduce for the other layers (H. Zhang et al.,
https://arxiv.org/abs/1706.03292).

Each rank makes the gradient by itself, so it is the same on all of them only where all compute alike: on the cores
of one host. Elsewhere (other processors, a GPU whose library chooses among kernels) all kernels are allreduced.
"""

from typing import Any

import keras
import tensorflow as tf

from hpcdl.train.layers.stand_in import stands_in_for
from hpcdl.train.world import World, world


@stands_in_for(keras.layers.Dense)
class GatheredDense(keras.layers.Dense):
    """keras.layers.Dense that gives its kernel the gradient of the mean loss over all ranks."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if not training:
            return super().call(inputs, training=training)
        outputs = _product(inputs, tf.convert_to_tensor(self.kernel), self.name)
        if self.bias is not None:
            outputs = keras.ops.add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)


def gather_dense(model: Any, us: World, batch_size: int) -> frozenset[str]:
    """Let those dense layers of a functional model that gain by it gather what their kernels' gradients are made of.

    An allreduce moves a kernel's gradient about twice. Layers gain whose inputs and outputs for the images of all ranks
    are no more numbers than the kernel: half of that, which pays for the longer product.

    Args:
        batch_size: images of a rank and step.
    Returns:
        The paths of the kernels whose gradients are already those of all ranks.
    """
    if us.size == 1 or us.local_size < us.size or tf.config.get_visible_devices("GPU"):
        return frozenset()
    chosen = [layer for layer in model.layers if _gains(layer, model, us.size * batch_size)]
    for layer in chosen:
        layer.__class__ = GatheredDense
    return frozenset(layer.kernel.path for layer in chosen)


def gather(rows: Any, name: str) -> Any:
    """Return the rows of all ranks, in order of the ranks. Collective.

    Args:
        rows: a tensor of two dimensions, float32, or of 2 bytes a number, which travel as they are.
        name: Horovod's name for it; all ranks give the same.
    """
    import horovod.tensorflow as hvd

    bits = tf.bitcast(rows, tf.uint16) if rows.dtype.size == 2 else rows
    return tf.bitcast(hvd.allgather(bits, name=name, ignore_name_scope=True), rows.dtype)


def _gains(layer: Any, model: Any, images: int) -> bool:
    if type(layer) is not keras.layers.Dense or not layer.trainable:
        return False
    calls = [node for nodes in model._nodes_by_depth.values() for node in nodes if node.operation is layer]
    inputs, units = layer.kernel.shape
    return len(calls) == 1 and calls[0].output_tensors[0].ndim == 2 and images * (inputs + units) <= inputs * units


def _product(inputs: Any, kernel: Any, name: str) -> Any:
    """Return inputs @ kernel, with the gradient for the kernel of the mean loss over all ranks."""

    @tf.custom_gradient
    def product(inputs: Any, kernel: Any) -> tuple[Any, Any]:
        def gradients(of_outputs: Any) -> tuple[Any, Any]:
            rows = tf.concat([inputs, of_outputs / world().size], axis=1)
            all_inputs, of_all_outputs = tf.split(gather(rows, f"hpcdl_dense_{name}"), kernel.shape, axis=1)
            of_kernel = tf.matmul(all_inputs, of_all_outputs, transpose_a=True)
            return tf.matmul(of_outputs, kernel, transpose_b=True), of_kernel

        return tf.matmul(inputs, kernel), gradients

    return product(inputs, kernel)
