"""The compiled kernels against the formulas in float64, and the layers that use them against Keras's own."""

import math
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from hpcdl.train.kernels import compile as compiled
from hpcdl.train.kernels import operations
from hpcdl.train.layers.faster import use_faster_layers

DTYPES = [tf.float32, tf.bfloat16]
EPSILON = 1e-3


def test_they_are_compiled_here():
    assert operations.available()


def chance(shape, dtype, seed, mean=0.0):
    """Normal numbers as a tensor, and the same, as rounded to its dtype, in float64."""
    tensor = tf.cast(np.random.default_rng(seed).normal(mean, 2, shape), dtype)
    return tensor, np.array(tf.cast(tensor, tf.float64))


def gelu(x):
    """Values and slopes."""
    below = np.vectorize(math.erfc)(-x / math.sqrt(2)) / 2
    return x * below, below + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def near(found, wanted, dtype, scale=1.0):
    """Check an activation: float32 to its last bits, bfloat16 to half a unit of its 8."""
    relative = 1e-5 if dtype == tf.float32 else 2**-8
    np.testing.assert_allclose(np.array(tf.cast(found, tf.float64)), wanted, rtol=relative, atol=2e-6 * scale)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ["linear", "relu", "gelu"])
@pytest.mark.parametrize(
    "shape", [(2, 1), (700, 3), (5, 7, 16), (33, 17), (3, 50, 50, 64), (31, 80), (2, 9, 9, 1030), (1, 40000)]
)
def test_batch_normalisation(shape, activation, dtype):
    x_tensor, x = chance(shape, dtype, 1, mean=3)
    dy_tensor, dy = chance(shape, dtype, 2)
    scale_tensor, scale = chance(shape[-1:], tf.float32, 3)
    offset_tensor, offset = chance(shape[-1:], tf.float32, 4)
    with tf.GradientTape() as tape:
        tape.watch([x_tensor, scale_tensor, offset_tensor])
        y, mean, variance = operations.batch_normalization(x_tensor, scale_tensor, offset_tensor, EPSILON, activation)
    dx, dscale, doffset = tape.gradient(y, [x_tensor, scale_tensor, offset_tensor], output_gradients=dy_tensor)

    axes = tuple(range(x.ndim - 1))
    wanted_mean, wanted_variance = x.mean(axes), x.var(axes)
    np.testing.assert_allclose(mean, wanted_mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(variance, wanted_variance, rtol=1e-5, atol=1e-10)
    inverse = 1 / np.sqrt(wanted_variance + EPSILON)
    normal = (x - wanted_mean) * inverse
    outputs = normal * scale + offset
    size = np.abs(inverse * scale).max() * 10  # cancelling terms leave an error of their size
    if activation == "relu":
        near(y, np.maximum(outputs, 0), dtype, size)
        dy = np.where(np.array(tf.cast(y, tf.float64)) > 0, dy, 0)  # in float64 the sign of some is another
    elif activation == "gelu":
        wanted, slope = gelu(outputs)
        near(y, wanted, dtype, size)
        dy *= slope
    else:
        near(y, outputs, dtype, size)
    # Ioffe, Szegedy 2015, section 3
    near(dx, scale * inverse * (dy - dy.mean(axes) - normal * (dy * normal).mean(axes)), dtype, size)
    np.testing.assert_allclose(doffset, dy.sum(axes), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(dscale, (dy * normal).sum(axes), rtol=1e-4, atol=1e-3)


def test_a_mean_far_from_zero_does_not_spoil_the_variance():
    x = 3000 + np.random.default_rng(1).normal(size=(50000, 4)).astype(np.float32)
    _, _, variance = operations.batch_normalization(x, tf.ones(4), tf.zeros(4), EPSILON)
    np.testing.assert_allclose(variance, x.astype(np.float64).var(0), rtol=1e-3)  # by squares alone it is wrong by half


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_batch_normalisation_lets_a_nan_be_seen(activation, dtype):
    x = tf.cast(tf.where(tf.range(40) == 7, -np.nan, tf.random.stateless_normal([40], [1, 2])), dtype)[:, None]
    y, mean, _ = operations.batch_normalization(x, tf.ones(1), tf.zeros(1), EPSILON, activation)
    assert np.isnan(mean)
    assert np.isnan(np.array(tf.cast(y, tf.float32))).all()


@pytest.mark.parametrize("fault", [tf.zeros((0, 4)), tf.zeros((3, 5)), tf.zeros((4,))])
def test_batch_normalisation_refuses_what_it_cannot_do(fault):
    with pytest.raises(tf.errors.InvalidArgumentError, match="no values, or of other channels"):
        operations.batch_normalization(fault, tf.ones(4), tf.ones(4), EPSILON)


def test_a_gradient_of_another_shape_is_refused():
    gradient = operations._library().hpcdl_batch_normalization_grad
    vector = tf.ones(4)
    with pytest.raises(tf.errors.InvalidArgumentError, match="another shape"):
        gradient(
            dy=tf.zeros((2, 4)),
            x=tf.zeros((3, 4)),
            scale=vector,
            offset=vector,
            mean=vector,
            variance=vector,
            epsilon=EPSILON,
            activation="linear",
        )


SPECIAL = [0.0, -0.0, 1.2e-38, -1.2e-38, np.inf, -np.inf, 3.4e38, -3.4e38, np.nan, -np.nan, 1.0, -1.0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [0, 1, 12, 100_003])
def test_relu_and_its_gradient(size, dtype):
    x = tf.cast(np.resize(SPECIAL, size).astype(np.float32), dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = operations.relu(x)
    dy = tf.cast(tf.range(size) + 1, dtype)
    dx = tape.gradient(y, x, output_gradients=dy)
    values = np.array(tf.cast(x, tf.float32))
    np.testing.assert_array_equal(tf.cast(y, tf.float32), np.where(values < 0, 0, values))
    positive = np.array(tf.cast(dx, tf.float32) > 0)
    np.testing.assert_array_equal(positive[~np.isnan(values)], (values > 0)[~np.isnan(values)])
    np.testing.assert_array_equal(
        np.array(tf.cast(dx, tf.float32))[positive], np.array(tf.cast(dy, tf.float32))[positive]
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sign", [1, -1])
def test_gelu_and_its_gradient(sign, dtype):
    x = tf.cast(sign * np.concatenate([[0, 1e-30, 13.9, 14.1, 100, 1e30], np.linspace(0, 15, 99_991)]), dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = operations.gelu(x)
    dx = tape.gradient(y, x)
    with np.errstate(over="ignore"):
        values, slopes = gelu(np.array(tf.cast(x, tf.float64)))
    near(y, values, dtype)
    near(dx, slopes, dtype)


def test_gelu_of_the_infinite():
    y = operations.gelu(tf.constant([np.inf, -np.inf, np.nan]))
    np.testing.assert_array_equal(y, [np.inf, 0, np.nan])


@pytest.mark.parametrize("dtype", DTYPES)
def test_relu_over_its_own_input(dtype):
    """In a graph the output may take the input's memory."""
    x, values = chance((70, 1001), dtype, 5)
    doubled = tf.function(lambda x: operations.relu(x + x))(x)
    near(doubled, np.maximum(2 * values, 0), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_sum_with_relu(dtype):
    (x, one), (z, other), (dy, back) = (chance((37, 1001), dtype, seed) for seed in (1, 2, 3))
    with tf.GradientTape() as tape:
        tape.watch([x, z])
        y = operations.add_relu(x, z)
    dx, dz = tape.gradient(y, [x, z], output_gradients=dy)
    near(y, np.maximum(one + other, 0), dtype)
    positive = np.array(tf.cast(y, tf.float64)) > 0
    for gradient in (dx, dz):
        np.testing.assert_array_equal(np.array(tf.cast(gradient, tf.float64)), np.where(positive, back, 0))


def test_a_sum_of_different_shapes_is_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="different shapes"):
        operations.add_relu(tf.zeros((2, 3)), tf.zeros((3, 2)))


@pytest.mark.slow
def test_the_number_of_threads_does_not_change_a_bit():
    program = """if True:
        import sys
        import tensorflow as tf
        tf.config.threading.set_intra_op_parallelism_threads(int(sys.argv[1]))
        from hpcdl.train.kernels import operations
        x = tf.random.stateless_normal((64, 40, 40, 48), [1, 2])
        with tf.GradientTape() as tape:
            tape.watch(x)
            y, mean, variance = operations.batch_normalization(x, tf.ones(48), tf.zeros(48), 1e-3, "gelu")
        for found in (y, mean, variance, tape.gradient(y, x, output_gradients=tf.sin(x))):
            print(hash(found.numpy().tobytes()))
    """
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    one, two = (
        subprocess.run(
            [sys.executable, "-c", program, threads], env=environment, capture_output=True, check=True
        ).stdout
        for threads in ("1", "2")
    )
    assert one == two
    assert len(one.split()) == 4


# ---- Compiled ----


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An environment without them."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert compiled.library().parent == tmp_path / "lib" / "hpcdl"
    return tmp_path / "lib" / "hpcdl"


@pytest.mark.slow
def test_they_are_compiled_once(elsewhere, monkeypatch):
    assert compiled.main() == 0
    (library,) = elsewhere.iterdir()
    assert library == compiled.library()
    # Not here: a process that has the operations twice can use none of them.
    load = f"import tensorflow; tensorflow.load_op_library({str(library)!r}).hpcdl_relu"
    subprocess.run([sys.executable, "-c", load], check=True)
    monkeypatch.setenv("CXX", "/bin/false")
    assert compiled.main() == 0


def test_a_compiler_that_fails_leaves_nothing(elsewhere, monkeypatch):
    monkeypatch.setenv("CXX", "/bin/false")
    assert compiled.main() == 1
    assert list(elsewhere.iterdir()) == []


def test_no_compiler(elsewhere, monkeypatch, capfd):
    monkeypatch.setenv("PATH", str(elsewhere))
    assert compiled.main() == 1
    assert "no C++ compiler: set CXX to one" in capfd.readouterr().err


def test_another_version_of_the_source_or_of_tensorflow_has_its_own(monkeypatch, tmp_path):
    here = compiled.library()
    monkeypatch.setattr(compiled, "_tensorflow", lambda: "tensorflow 99")
    other_tensorflow = compiled.library()
    monkeypatch.undo()
    changed = tmp_path / "kernels.cc"
    changed.write_text(compiled.SOURCE.read_text() + "//\n")
    monkeypatch.setattr(compiled, "SOURCE", changed)
    assert len({here, other_tensorflow, compiled.library()}) == 3


# ---- In a network ----


def residual(images):
    """All that is joined: a normalisation and ReLU, by both names, and a sum and ReLU."""
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(images)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    y = layers.Activation("relu")(layers.BatchNormalization()(layers.Conv2D(8, 1, use_bias=False)(x)))
    return layers.ReLU()(layers.Add()([x, layers.BatchNormalization()(y)]))


def gaussian(images):
    """A GELU behind a convolution with bias, and one behind a normalisation."""
    x = layers.Activation("gelu")(layers.Conv2D(8, 3)(images))
    return layers.Activation("gelu")(layers.BatchNormalization()(x))


def twice(images):
    """Outputs of a normalisation and of a sum that somebody else takes too, before their ReLU."""
    normal = layers.BatchNormalization()(images)
    total = layers.Add()([layers.ReLU()(normal), normal])
    return layers.Concatenate()([layers.ReLU()(total), total])


def shared(images):
    """A normalisation and a ReLU that are called twice."""
    normalization, relu = layers.BatchNormalization(), layers.ReLU()
    return layers.Subtract()([relu(normalization(images)), relu(normalization(layers.Permute((2, 1, 3))(images)))])


def other_rectifiers(images):
    """What is not a ReLU alone, sums of three or of other shapes, and a convolution's bias before a ReLU."""
    x = layers.ReLU(max_value=1.0)(layers.BatchNormalization()(images))
    x = layers.ReLU(negative_slope=0.1)(layers.BatchNormalization()(x))
    x = layers.Activation("tanh")(layers.BatchNormalization()(x))
    x = layers.ReLU()(layers.Add()([x, images, x]))
    x = layers.ReLU()(layers.Add()([x, layers.GlobalAveragePooling2D(keepdims=True)(x)]))
    return layers.ReLU()(layers.Conv2D(4, 1)(x))


def within(images):
    """A model within the model, called twice."""
    inner_images = layers.Input(images.shape[1:])
    inner = keras.Model(inner_images, layers.ReLU()(layers.BatchNormalization()(inner_images)))
    return layers.Add()([inner(images), inner(layers.Permute((2, 1, 3))(images))])


def normalised_elsewhere(images):
    """Keras's own formulas: another axis, and signals."""
    x = layers.ReLU()(layers.BatchNormalization(axis=1)(images))
    flat = layers.Reshape((-1, 3))(x)
    return layers.ReLU()(layers.BatchNormalization()(flat))


NETWORKS = {residual: 3, gaussian: 1, twice: 0, shared: 0, other_rectifiers: 0, within: 1, normalised_elsewhere: 2}
"""How many activations the layer before them does."""


def two_models(network, policy):
    """Keras's own and the same with faster layers, their weights not those of the start."""
    with_policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        models = []
        for _ in range(2):
            images = layers.Input((6, 6, 3))
            models.append(keras.Model(images, network(images)))
    finally:
        keras.config.set_dtype_policy(with_policy)
    theirs, ours = models
    for model in models:
        weights = np.random.default_rng(2)
        model.set_weights([weights.uniform(0.5, 2, weight.shape) for weight in model.get_weights()])
    use_faster_layers(ours)
    return theirs, ours


def all_of_it(model, inputs):
    """Outputs and gradients of a step in training, the weights after it, and what it predicts."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = model(inputs, training=True)
    wanted = tf.cast(tf.random.stateless_normal(outputs.shape, [3, 4]), outputs.dtype)
    variables = [v.value for v in model.trainable_variables]
    gradients = tape.gradient(outputs, [inputs, *variables], output_gradients=wanted)
    found = [outputs, *gradients, *model.get_weights(), model(inputs, training=False)]
    return [np.array(tf.cast(value, tf.float32)) for value in found]


@pytest.mark.parametrize("kernels", [True, False], ids=["kernels", "tensorflow"])
@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_computes_what_keras_computes(network, kernels, monkeypatch):
    monkeypatch.setattr(operations, "available", lambda: kernels)
    theirs, ours = two_models(network, "float32")
    joined = sum(getattr(layer, "done_before", False) for layer in ours._flatten_layers())
    assert joined == NETWORKS[network]
    inputs = tf.random.stateless_normal((4, 6, 6, 3), [1, 2])
    for found, wanted in zip(all_of_it(ours, inputs), all_of_it(theirs, inputs), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("kernels", [True, False], ids=["kernels", "tensorflow"])
def test_a_network_in_bfloat16(kernels, monkeypatch):
    monkeypatch.setattr(operations, "available", lambda: kernels)
    theirs, ours = two_models(residual, "mixed_bfloat16")
    inputs = tf.random.stateless_normal((4, 6, 6, 3), [1, 2])
    one, other = ours(inputs, training=True), theirs(inputs, training=True)
    assert one.dtype == other.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(one, tf.float32), tf.cast(other, tf.float32), rtol=0.03, atol=0.06)


def test_outputs_of_the_model_before_a_relu_are_not_rectified():
    images = layers.Input((6, 6, 3))
    normal = layers.BatchNormalization()(images)
    model = keras.Model(images, [normal, layers.ReLU()(normal)])
    use_faster_layers(model)
    normal, rectified = model(tf.random.stateless_normal((4, 6, 6, 3), [1, 2]), training=True)
    assert np.min(normal) < 0
    np.testing.assert_array_equal(rectified, np.maximum(normal, 0))


@pytest.mark.parametrize("network", [residual, gaussian])
def test_a_clone_computes_the_same(network):
    """Keras makes a clone's layers anew from their configuration, which does not say what was joined."""
    theirs, ours = two_models(network, "float32")
    clone = keras.models.clone_model(ours)
    clone.set_weights(ours.get_weights())
    inputs = tf.random.stateless_normal((4, 6, 6, 3), [1, 2])
    np.testing.assert_allclose(clone(inputs), theirs(inputs), rtol=1e-5, atol=1e-5)


def test_the_saved_model_has_keras_own_layers(tmp_path):
    _, ours = two_models(residual, "float32")
    ours.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert {type(layer).__module__.partition(".")[0] for layer in loaded.layers} == {"keras"}
    assert not any(hasattr(layer, "done_before") for layer in loaded.layers)
    inputs = tf.random.stateless_normal((4, 6, 6, 3), [1, 2])
    np.testing.assert_allclose(loaded(inputs), ours(inputs), rtol=1e-5, atol=1e-5)
