"""Each way of looking inside does what its paper defines, on networks small enough to work out by hand."""

import keras
import numpy as np
import pytest

from hpcdl.errors import LookError
from hpcdl.train.look import patches
from hpcdl.train.look.ascent import Regularisation, ascend
from hpcdl.train.look.filters import first_filters
from hpcdl.train.look.gradients import guided_backprop, input_gradient, saliency
from hpcdl.train.look.layers import features_of, find_layer, last_maps, outputs_of, scores_of
from hpcdl.train.look.neighbours import nearest
from hpcdl.train.look.receptive import receptive_field

layers = keras.layers


def linear(weights: np.ndarray, activation: str = "softmax") -> keras.Model:
    """A classifier of 2x3 images of two channels whose scores are `weights`, shape (12, classes), times the pixels."""
    inputs = layers.Input((2, 3, 2))
    model = keras.Model(inputs, layers.Dense(weights.shape[1], activation=activation)(layers.Flatten()(inputs)))
    model.set_weights([weights, np.arange(weights.shape[1], dtype=np.float32)])
    return model


@pytest.fixture
def weights():
    return np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)


def test_the_saliency_of_a_linear_model_is_its_row_of_weights(weights):
    images = np.random.default_rng(1).uniform(size=(3, 2, 3, 2)).astype(np.float32)
    expected = np.abs(weights[:, 2].reshape(2, 3, 2)).max(axis=-1)
    for found in saliency(linear(weights), images, unit=2):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_gradient_is_that_of_the_score_and_not_of_the_probability(weights):
    image = np.random.default_rng(1).uniform(size=(1, 2, 3, 2)).astype(np.float32)
    of_probability = input_gradient(linear(weights), image, 2)[0]
    assert np.abs(np.abs(of_probability).max(axis=-1) - saliency(linear(weights), image, 2)[0]).max() > 0.1


@pytest.mark.parametrize("end", ["in the dense layer", "activation", "softmax layer", "linear"])
def test_scores_are_what_goes_into_the_softmax(weights, end):
    model = linear(weights, "softmax" if end == "in the dense layer" else "linear")
    if end == "activation":
        model = keras.Model(model.inputs[0], layers.Activation("softmax")(model.outputs[0]))
    if end == "softmax layer":
        model = keras.Model(model.inputs[0], layers.Softmax()(model.outputs[0]))
    image = np.random.default_rng(1).uniform(size=(1, 2, 3, 2)).astype(np.float32)
    np.testing.assert_allclose(scores_of(model)(image)[0], image.ravel() @ weights + np.arange(4), rtol=1e-5)
    np.testing.assert_allclose(features_of(model)(image)[0], image.ravel())


def small_relu_net(relu: str) -> keras.Model:
    """x (two samples of one channel) -> h = relu(W x) with two units -> score v h.

    W = [[1, -1], [2, 1]] (columns: units), v = [1, -3].
    """
    inputs = layers.Input((2, 1))
    hidden = layers.Dense(2, use_bias=False, activation="relu" if relu == "argument" else None)(
        layers.Flatten()(inputs)
    )
    if relu == "layer":
        hidden = layers.ReLU()(hidden)
    if relu == "activation":
        hidden = layers.Activation("relu")(hidden)
    model = keras.Model(inputs, layers.Dense(1, use_bias=False)(hidden))
    model.set_weights([np.array([[1, -1], [2, 1]], np.float32), np.array([[1], [-3]], np.float32)])
    return model


@pytest.mark.parametrize("relu", ["argument", "layer", "activation"])
def test_guided_backprop_passes_only_what_is_positive_both_ways(relu):
    model = small_relu_net(relu)
    inputs = np.array([[1, 2], [-1, 3], [-3, 1]], np.float32)[..., None]
    # Units: x = (1, 2): h = relu(5, 1), both active. Plain gradient 1 (1, 2) - 3 (-1, 1) = (4, -1);
    # guided: the second unit gets -3 from above, which is not passed: (1, 2).
    # x = (-1, 3): relu(5, 4): the same. x = (-3, 1): relu(-1, 4): only the second: plain -3 (-1, 1), guided 0.
    np.testing.assert_array_equal(input_gradient(model, inputs, 0)[..., 0], [[4, -1], [4, -1], [3, -3]])
    np.testing.assert_array_equal(guided_backprop(model, inputs, 0)[..., 0], [[1, 2], [1, 2], [0, 0]])
    np.testing.assert_array_equal(input_gradient(model, inputs, 0)[0, :, 0], [4, -1])  # the model itself is as it was


def test_ascent_on_a_linear_score_ends_at_the_maximum_that_algebra_gives():
    """The maximum of w x - d |x - s|^2 - r |Dx|^2 is s + (2 d I + 2 r D'D)^-1 (w - 2 r D'D s); D: differences."""
    inputs = layers.Input((6, 1))
    model = keras.Model(inputs, layers.Dense(2, use_bias=False)(layers.Flatten()(inputs)))
    weights = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    model.set_weights([weights])
    start = np.linspace(0, 0.5, 6, dtype=np.float32)[:, None]
    differences = np.diff(np.eye(6), axis=0)
    quadratic = 2 * 0.5 * np.eye(6) + 2 * 0.3 * differences.T @ differences
    expected = start[:, 0] + np.linalg.solve(
        quadratic, weights[:, 1] - 2 * 0.3 * differences.T @ differences @ start[:, 0]
    )
    found = ascend(model, start, [0, 1], Regularisation(0.5, 0.3, jitter=0), bounds=None, steps=600)[1]
    np.testing.assert_allclose(found[:, 0], expected, atol=2e-3)
    bounded = ascend(model, start, [1], Regularisation(0.5, 0.3, jitter=0), bounds=(0, 0.4), steps=100)
    assert bounded.min() >= 0
    assert bounded.max() <= np.float32(0.4)


def test_ascent_raises_the_score_of_a_channel_and_is_the_same_for_the_same_seed():
    keras.utils.set_random_seed(1)
    inputs = layers.Input((8, 8, 3))
    model = keras.Model(inputs, layers.Conv2D(4, 3)(inputs))
    start = np.full((8, 8, 3), 0.5, np.float32)
    found = ascend(model, start, [2], Regularisation(), bounds=None, steps=30)[0]
    before, after = (model(image[None]).numpy().mean(axis=(0, 1, 2)) for image in (start, found))
    apart = sum(float(np.square(np.diff(found, axis=axis)).sum()) for axis in (0, 1))
    rule = Regularisation()
    assert after[2] - rule.decay * np.square(found - start).sum() - rule.roughness * apart > before[2]
    np.testing.assert_array_equal(found, ascend(model, start, [2], Regularisation(), None, steps=30)[0])


def test_filters_are_the_kernel_with_the_filter_first(weights):
    inputs = layers.Input((8, 8, 3))
    model = keras.Model(inputs, layers.Conv2D(4, (5, 3))(inputs))
    kernel = model.get_weights()[0]
    np.testing.assert_array_equal(first_filters(model)[3, 4, 2, 1], kernel[4, 2, 1, 3])
    assert first_filters(model).shape == (4, 5, 3, 3)
    np.testing.assert_array_equal(first_filters(linear(weights))[1], weights[:, 1].reshape(2, 3, 2))


def test_neighbours_are_those_of_a_loop_over_all():
    random = np.random.default_rng(2)
    features = random.normal(size=(50, 7)).astype(np.float32)
    features[30] = features[10]
    places, distances = nearest(features, features[10], 5)
    by_hand = sorted(
        (float(np.sqrt(((row.astype(float) - features[10]) ** 2).sum())), i) for i, row in enumerate(features)
    )
    assert places.tolist() == [i for _, i in by_hand[:5]]
    assert places[:2].tolist() == [10, 30]
    np.testing.assert_allclose(distances, [d for d, _ in by_hand[:5]], atol=1e-12)


def test_peaks_are_those_of_a_search_through_every_position():
    maps = np.random.default_rng(3).normal(size=(20, 4, 5, 3)).astype(np.float32)
    found = patches.peaks([maps[:7], maps[7:14], maps[14:]], channel=1, count=6)
    every = {
        i: max((float(maps[i, row, column, 1]), (row, column)) for row in range(4) for column in range(5))
        for i in range(20)
    }
    best = sorted(every, key=lambda i: -every[i][0])[:6]
    assert [(peak.sample, peak.value, peak.position) for peak in found] == [(i, *every[i]) for i in best]
    assert patches.peaks([maps[:2, 0, 0]], channel=0, count=9)[0].position == ()


def test_a_patch_has_nothing_beyond_the_border():
    image = np.arange(20, dtype=np.float32).reshape(4, 5, 1)
    patch = patches.cut(image, ((-1, 2), (3, 6)))
    expected = np.array([[np.nan] * 3, [3, 4, np.nan], [8, 9, np.nan]])
    np.testing.assert_array_equal(patch[..., 0], expected)


def branching(length: int, padding: str, strides: int) -> keras.Model:
    """Convolutions, poolings, a skip and a concatenation, with weights that nothing cancels."""
    inputs = layers.Input((length, length + 3, 1))
    x = layers.Conv2D(2, 3, strides=strides, padding=padding)(inputs)
    skip = layers.Conv2D(2, 1)(x)
    x = layers.Conv2D(2, (3, 5), padding="same", activation="relu")(x)
    x = layers.Add(name="sum")([x, skip])
    x = layers.AveragePooling2D(2, padding=padding, name="pool")(x)
    x = layers.Concatenate(name="both")(
        [layers.Conv2D(1, 3, dilation_rate=2, padding="same")(x), layers.BatchNormalization()(x)]
    )
    x = layers.Conv2D(1, 2, padding=padding, name="end")(layers.ZeroPadding2D(1)(x))
    model = keras.Model(inputs, layers.Dense(2, name="all")(layers.GlobalAveragePooling2D()(x)))
    model.set_weights([np.abs(part) + 0.1 for part in model.get_weights()])
    return model


@pytest.mark.parametrize(
    ("length", "padding", "strides"), [(24, "same", 1), (33, "same", 2), (39, "valid", 2), (26, "valid", 1)]
)
@pytest.mark.parametrize("name", ["sum", "pool", "both", "end", "all"])
def test_the_receptive_field_is_where_a_change_of_the_input_changes_the_unit(length, padding, strides, name):
    """By its definition: with positive weights the gradient is not zero exactly inside it, and never outside."""
    model = branching(length, padding, strides)
    layer = find_layer(model, name)
    shape = layer.output.shape[1:-1]
    image = np.random.default_rng(0).uniform(0.5, 1, (1, length, length + 3, 1)).astype(np.float32)
    for position in {(0,) * len(shape), tuple(n // 2 for n in shape), tuple(n - 1 for n in shape)}:
        window = receptive_field(model, layer, position)
        inside = np.zeros(image.shape[1:3], bool)
        inside[tuple(slice(max(start, 0), max(stop, 0)) for start, stop in window)] = True
        part = outputs_of(model, layer)
        one = layers.Lambda(lambda maps, position=position: maps[(slice(None), *position, slice(0, 1))])(
            part.outputs[0]
        )
        touched = input_gradient(keras.Model(part.inputs[0], one), image, 0)[0, ..., 0] != 0
        rows, columns = np.nonzero(touched)
        box = np.zeros_like(touched)
        if touched.any():
            box[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
        if name != "all" and position == tuple(n // 2 for n in shape):
            np.testing.assert_array_equal(box, inside)
        else:  # what layers in between padded is seen as if the input went on
            assert not (touched & ~inside).any()


def test_the_field_of_a_signal_and_of_what_is_not_known():
    inputs = layers.Input((32, 1))
    x = layers.Conv1D(2, 4, strides=2, padding="causal", name="causal")(inputs)
    x = layers.MaxPooling1D(3, strides=2, name="pool")(x)
    x = layers.Permute((1, 2), name="mixed")(x)
    model = keras.Model(inputs, x)
    assert receptive_field(model, model.get_layer("causal"), (5,)) == ((7, 11),)
    assert receptive_field(model, model.get_layer("pool"), (2,)) == ((5, 13),)
    assert receptive_field(model, model.get_layer("mixed"), (2,)) == ((0, 32),)


def test_a_layer_that_is_not_there_is_named_with_the_nearest(weights):
    model = linear(weights)
    assert last_maps(model) is None
    with pytest.raises(LookError, match=r"--layer flaten: the network has no such layer. Did you mean 'flatten"):
        find_layer(model, "flaten")
