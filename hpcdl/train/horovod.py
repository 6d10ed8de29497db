"""Horovod for Keras 3: a model, an optimizer and a callback that keep all ranks in step.

Horovod 0.28.1 ships `horovod.tensorflow.keras` for Keras 2. On Keras 3 its optimizer never calls allreduce (Keras 3
calls `apply`, which Horovod does not override) and every rank trains alone without a word. This module uses only
Horovod's collectives. Two ways in:

- `HorovodModel(inputs, outputs)` or `HorovodSequential(layers)` instead of `keras.Model` and `keras.Sequential`;
- `DistributedOptimizer(optimizer)` in a script that must stay as it is otherwise.

In a world of one rank everything here does the same arithmetic as plain Keras.
"""

import hashlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hpcdl.train.communication import MIB
from hpcdl.train.world import WorldError, world
from hpcdl.training import BUCKET_MIB

BUCKET_BYTES = round(BUCKET_MIB * MIB)
HASH_BYTES = 16
SEED_STRIDE = 1_000_003
"""Distance between the dropout seeds of two ranks: a prime, so that seeds of neighbouring runs do not meet."""


def rank() -> int:
    """This process's rank, from 0."""
    return world().rank


def size() -> int:
    """The number of ranks."""
    return world().size


def shard(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return this rank's part of each array: rows rank, rank + size, ...; the remainder of a division is dropped.

    Every rank gets len(array) // size rows, so that all take the same number of steps: an allreduce that one rank
    never reaches would hang the others.

    Args:
        arrays: any arrays or tensors with the same number of rows.
    Raises:
        WorldError: there are fewer rows than ranks.
    """
    rows = len(arrays[0]) // size()
    if not rows:
        raise WorldError(f"{len(arrays[0])} rows cannot be shared among {size()} ranks. Use fewer ranks.")
    return tuple(array[rank() : rows * size() : size()] for array in arrays)


def allreduce_gradients(gradients: list[Any], wire: Any = None, bucket_bytes: int = BUCKET_BYTES) -> list[Any]:
    """Return the mean of each gradient over all ranks: one grouped allreduce for each bucket.

    Buckets are filled from the last gradient to the first, as the backward pass finishes them: full ones travel while
    it goes on with the layers below. The mean is taken before the sum (prescale), so that float16 does not overflow on
    the way. The operations carry fixed names: Horovod pairs the ranks' operations by name, and names that Keras makes
    up may differ between ranks.

    Args:
        gradients: tensors, IndexedSlices (made dense) or None (kept in place); same shapes and dtypes on all ranks; in
            the order of the layers.
        wire: a dtype for the transfer, tf.float16, or None for each gradient's own. bfloat16 always travels as
            float32, since Horovod's grouped allreduce has no bfloat16.
        bucket_bytes: a bucket is full when it holds so many.
    """
    if size() == 1:
        return list(gradients)
    import horovod.tensorflow as hvd

    tensors: dict[int, tf.Tensor] = {}
    for index, gradient in enumerate(gradients):
        if gradient is not None:
            dense = tf.convert_to_tensor(gradient)
            tensors[index] = tf.cast(dense, wire or (tf.float32 if dense.dtype == tf.bfloat16 else dense.dtype))
    means = list(gradients)
    for number, bucket in enumerate(buckets(tensors, bucket_bytes)):
        reduced = hvd.grouped_allreduce(
            [tensors[index] for index in bucket],
            op=hvd.Sum,
            prescale_factor=1.0 / size(),
            name=f"hpcdl_gradients_{number}",
            ignore_name_scope=True,
        )
        for index, mean in zip(bucket, reduced, strict=True):
            means[index] = tf.cast(mean, gradients[index].dtype)
    return means


def buckets(tensors: dict[int, Any], bucket_bytes: int) -> list[list[int]]:
    """Return the indices of tensors in buckets of one dtype each, from the last to the first.

    A bucket takes tensors until it holds `bucket_bytes`; the last one of each dtype may hold less.
    """
    filled: list[list[int]] = []
    open_buckets: dict[tf.DType, tuple[list[int], int]] = {}
    for index, tensor in sorted(tensors.items(), reverse=True):
        bucket, held = open_buckets.get(tensor.dtype, ([], 0))
        if not bucket:
            filled.append(bucket)
        bucket.append(index)
        held += tensor.shape.num_elements() * tensor.dtype.size
        open_buckets[tensor.dtype] = ([], 0) if held >= bucket_bytes else (bucket, held)
    return filled


class _InStep:
    """The training step that `HorovodModel` and `HorovodSequential` share."""

    micro_batches: int = 1
    """Parts into which each batch is cut; their gradients are summed here before one allreduce. A batch must hold at
    least one image for each part."""
    wire: Any = None
    """The dtype in which gradients travel, see `allreduce_gradients`."""
    bucket_bytes: int = BUCKET_BYTES
    """The size of the buckets in which they travel, see there."""
    gathered: frozenset[str] = frozenset()
    """Paths of the kernels whose gradients are those of all ranks without an allreduce, see `gather_dense`."""
    average: Any = None
    """A `WeightAverage` that is kept up with the steps, or None."""
    stages: Any = None
    """The `Stages` of a transfer, in which some weights are frozen, or None."""
    forward: Any = None
    """A function of (inputs, training) that gives the outputs in place of the model itself, or None."""

    def compile(self, *args: Any, jit_compile: bool = False, **kwargs: Any) -> None:
        """As keras.Model.compile. `jit_compile` must stay false: Horovod's grouped allreduce has no XLA kernel."""
        if jit_compile and size() > 1:
            raise WorldError("jit_compile=True cannot work with Horovod's allreduce. Leave jit_compile out.")
        super().compile(*args, jit_compile=bool(jit_compile), **kwargs)  # type: ignore[misc]

    def fit(self, *args: Any, callbacks: Any = None, **kwargs: Any) -> Any:
        """As keras.Model.fit on this rank's part of the data, with `Synchronize` before the given callbacks."""
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks = [Synchronize(), *(callbacks or [])]
        return super().fit(*args, callbacks=callbacks, **kwargs)  # type: ignore[misc]

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step of all ranks together: gradients of the mean loss over the batches of all ranks.

        Args:
            data: (x, y) or (x, y, sample_weight) of this rank; batches of equal size on all ranks make the mean that
                of the global batch.
        """
        model: Any = self
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        variables = model.trainable_variables
        total = tf.shape(keras.tree.flatten(x)[0])[0]
        gradients: list[Any] = [None] * len(variables)
        for part in range(self.micro_batches):
            start, stop = part * total // self.micro_batches, (part + 1) * total // self.micro_batches
            share = tf.cast(stop - start, tf.float32) / tf.cast(total, tf.float32)
            x_part, y_part, weight_part = keras.tree.map_structure(
                lambda tensor, start=start, stop=stop: None if tensor is None else tensor[start:stop],
                (x, y, sample_weight),
            )
            with tf.GradientTape() as tape:
                prediction = (self.forward or model)(x_part, training=True)
                loss = model.compute_loss(
                    x=x_part, y=y_part, y_pred=prediction, sample_weight=weight_part, training=True
                )
                scaled = model.optimizer.scale_loss(loss) * tf.cast(share, loss.dtype)
            for index, gradient in enumerate(tape.gradient(scaled, [v.value for v in variables])):
                if gradient is not None:
                    gradient = tf.convert_to_tensor(gradient)
                    gradients[index] = gradient if gradients[index] is None else gradients[index] + gradient
            next(metric for metric in model.metrics if metric.name == "loss").update_state(
                loss, sample_weight=stop - start
            )
            model.compute_metrics(x_part, y_part, prediction, sample_weight=weight_part)
        of_this_rank = {i: gradients[i] for i, v in enumerate(variables) if v.path not in self.gathered}
        means = allreduce_gradients([*of_this_rank.values()], self.wire, self.bucket_bytes)
        for index, mean in zip(of_this_rank, means, strict=True):
            gradients[index] = mean
        model.optimizer.apply(gradients, variables)
        if self.average is not None:
            self.average.update(model.optimizer.iterations)
        return model.get_metrics_result()


class HorovodModel(_InStep, keras.Model):
    """A functional Keras model whose training step averages gradients over all ranks: `HorovodModel(inputs, outputs)`.

    `fit`, `evaluate`, `predict` and `save` are Keras's own. Give `fit` this rank's part of the data (see `shard`).
    """


class HorovodSequential(_InStep, keras.Sequential):
    """A `keras.Sequential` whose training step averages gradients over all ranks; see `HorovodModel`."""


def DistributedOptimizer(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Return an optimizer like `optimizer` that averages the gradients over all ranks before it applies them.

    For an existing Keras 3 script: wrap the optimizer, and give `fit` this rank's part of the data by `shard`. The
    weights of rank 0 are sent to all ranks when the optimizer meets them first; a model that has none before its first
    step (it was given no input shape) spends that step on receiving them. The class keeps its name, so that a saved
    model loads where hpcdl is not installed. On a GPU compile with `jit_compile=False`.

    Under the policy mixed_float16 the result scales the loss too (as Keras's LossScaleOptimizer): wrapped by Keras
    around ours, each rank would decide alone whether to skip a step, and the first to skip would hang the others.
    """
    if keras.config.dtype_policy().name == "mixed_float16" and not _scales_loss(optimizer):
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    base = type(optimizer)

    def build(self: Any, variables: list[Any]) -> None:
        base.build(self, variables)
        with tf.init_scope():  # `fit` builds inside a trace; the weights must be sent now, not in every step
            # A model without an input shape gets its weights in the trace of the first step: they have no values yet.
            self._first_step_broadcasts = size() > 1 and not all(bool(v.value.is_initialized()) for v in variables)
            if not self._first_step_broadcasts:
                broadcast(variables)  # the optimizer's own state is new and the same everywhere

    def apply(self: Any, grads: list[Any], trainable_variables: Any = None) -> Any:
        variables = self._trainable_variables if trainable_variables is None else list(trainable_variables)
        if not self.built:
            self.build(variables)
        if not self._first_step_broadcasts:
            return base.apply(self, allreduce_gradients(list(grads)), variables)
        present = [index for index, gradient in enumerate(grads) if gradient is not None]
        reduced: list[Any] = list(grads)

        def only_broadcast() -> list[Any]:  # the gradients are of each rank's own weights, so they move nothing
            broadcast(variables)
            return [tf.zeros_like(grads[index]) for index in present]

        def allreduce() -> list[Any]:
            return allreduce_gradients([grads[index] for index in present])

        for index, gradient in zip(present, tf.cond(self.iterations == 0, only_broadcast, allreduce), strict=True):
            reduced[index] = gradient
        return base.apply(self, reduced, variables)

    members = {"build": build, "apply": apply, "__module__": base.__module__, "__doc__": base.__doc__}
    synchronized: Any = type(base.__name__, (base,), members)
    return synchronized.from_config(optimizer.get_config())


class Synchronize(keras.callbacks.Callback):
    """Keeps a `fit` of all ranks together. `HorovodModel.fit` adds it; put it first beside a `DistributedOptimizer`.

    - Before the first step rank 0's weights and optimizer state go to all ranks; each gets dropout seeds of its own.
    - Before every validation, at the end of every epoch and of training, batch-normalisation statistics are averaged,
      so that what callbacks evaluate or save is the same on every rank.
    - The metrics of epochs and validations become those over all ranks, by the sum of the metrics' states.

    All ranks must call `fit` with the same arguments and metrics.
    """

    def on_train_begin(self, logs: Any = None) -> None:
        synchronize(self.model)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._training: dict[str, float] | None = None

    def on_test_begin(self, logs: Any = None) -> None:
        average_statistics(self.model)
        self._training = global_metrics(self.model)  # the states hold the epoch's until the validation clears them

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        average_statistics(self.model)
        latest = global_metrics(self.model)
        if logs is None:
            return
        if self._training is None:
            logs.update(latest)
        else:
            logs.update(self._training, **{f"val_{name}": value for name, value in latest.items()})


def parameters(model: keras.Model) -> list[Any]:
    """Return the weights that training could move, the frozen ones too: they are equal on all ranks."""
    stages = getattr(model, "stages", None)
    return list(stages.parameters if stages else model.trainable_variables)


def synchronize(model: keras.Model) -> None:
    """Make all ranks start from rank 0's weights and optimizer state, with dropout seeds of their own. Collective."""
    optimizer = model.optimizer
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    broadcast([*model.weights, *optimizer.variables])
    for variable in model.non_trainable_variables:
        if variable.path.endswith("seed_generator_state"):
            seed, *rest = variable.value.numpy()
            variable.assign(np.array([seed + SEED_STRIDE * rank(), *rest], dtype=variable.dtype))
    if getattr(model, "average", None) is not None:
        model.average.restart()


def broadcast(variables: list[Any]) -> None:
    """Send rank 0's values of Keras variables to all ranks. Collective."""
    if size() > 1:
        import horovod.tensorflow as hvd

        for index, variable in enumerate(variables):
            name = f"hpcdl_broadcast_{index}"
            variable.assign(hvd.broadcast(tf.convert_to_tensor(variable.value), root_rank=0, name=name))


def average_statistics(model: keras.Model) -> None:
    """Set batch-normalisation statistics to those over all ranks' data. Collective.

    The mean of n ranks is the mean of their means; the variance is the mean of their variances plus the variance of
    their means (law of total variance), exact for equal numbers of images.
    """
    if size() == 1:
        return
    for layer in _layers(model):
        if isinstance(layer, keras.layers.BatchNormalization) and layer.built:
            statistics = world().allgather((layer.moving_mean.value.numpy(), layer.moving_variance.value.numpy()))
            means, variances = (np.stack(column).astype(np.float64) for column in zip(*statistics, strict=True))
            layer.moving_mean.assign(means.mean(axis=0))
            layer.moving_variance.assign(variances.mean(axis=0) + means.var(axis=0))


def global_metrics(model: keras.Model) -> dict[str, float]:
    """Return the model's metrics over the data of all ranks, by the sum of the metrics' states. Collective.

    Right for metrics whose state adds up over data (means, accuracies, counts, confusion matrices), which are Keras's.
    """
    metrics = list(model.metrics)
    local = [variable.value.numpy() for metric in metrics for variable in metric.variables]
    everyone = world().allgather([np.asarray(state, np.float64) for state in local])
    sums = [np.sum(states, axis=0) for states in zip(*everyone, strict=True)]
    variables = [variable for metric in metrics for variable in metric.variables]
    for variable, total in zip(variables, sums, strict=True):
        variable.assign(total.astype(variable.dtype))
    try:
        result = model.get_metrics_result()
    finally:  # the next batch goes on from this rank's own sums
        for variable, state in zip(variables, local, strict=True):
            variable.assign(state)
    return {name: float(value) for name, value in result.items()}


def weight_hash(model: keras.Model) -> str:
    """Return a hash (32 hexadecimal digits) of all weights, frozen or not, and the optimizer's state, bit by bit.

    A moving average of the weights that the model keeps counts too.
    """
    digest = hashlib.blake2b(digest_size=HASH_BYTES)
    average = getattr(model, "average", None)
    for variable in [*parameters(model), *model.optimizer.variables, *(average.shared if average else [])]:
        digest.update(np.ascontiguousarray(variable.value).tobytes())
    return digest.hexdigest()


def check_weights(model: keras.Model, step: int) -> str:
    """Check that all ranks hold the same weights after `step` steps, and return their hash. Collective.

    Raises:
        WorldError: names the rank, its host and both hashes.
    """
    digest = weight_hash(model)
    world().agree(
        f"the hash of the weights after step {step}",
        digest,
        "The ranks no longer train the same model; nothing after the last check is to be trusted.",
    )
    return digest


def _layers(model: Any) -> list[Any]:
    """All layers of a model, those inside nested models too."""
    return [layer for layer in model._flatten_layers() if not isinstance(layer, keras.Model)]


def _scales_loss(optimizer: Any) -> bool:
    return isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
