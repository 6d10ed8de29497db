"""The networks against what was published of them: parameters, multiply-adds, receptive fields, shapes."""

import inspect
from functools import cache
from importlib import import_module

import keras
import numpy as np
import pytest
import tensorflow as tf

from hpcdl.errors import JobFileError
from hpcdl.train.models import catalogue
from hpcdl.train.models.arguments import KINDS, read_arguments
from hpcdl.train.models.catalogue import MODELS
from hpcdl.train.models.mnist_cnn import mnist_cnn
from hpcdl.train.models.network import build_network
from hpcdl.train.models.resnet import resnet_cifar
from hpcdl.train.models.summary import rows, summarize

TORCHVISION = "num_params and _ops (1e9 multiply-adds) of the weights in torchvision/models, v0.15 and later"
PUBLISHED = {
    # name: (parameters, 1e9 multiply-adds or None, source)
    "vgg16": (138_357_544, 15.470, TORCHVISION),
    "vgg19": (143_667_240, 19.632, TORCHVISION),
    "resnet18": (11_689_512, 1.814, TORCHVISION),
    "resnet34": (21_797_672, 3.664, TORCHVISION),
    "resnet50": (25_557_032, 4.089, TORCHVISION),
    "resnet101": (44_549_160, 7.801, TORCHVISION),
    "resnet152": (60_192_808, 11.514, TORCHVISION),
    "se_resnet50": (28_088_024, None, "github.com/osmr/imgclsmob, pytorch/README.md: SE-ResNet-50"),
    "alexnet": (60_965_224, 0.724, "bvlc_alexnet of Caffe's model zoo, as listed by netscope: 60.97 M, 724.41 M"),
    "googlenet": (6_998_552, 1.583, "bvlc_googlenet of Caffe's model zoo; the paper says 1.5 billion multiply-adds"),
    "lenet5": (61_706, None, "156 + 2,416 + 48,120 + 10,164 + 850"),
    "mlp": (101_770, None, "784 * 128 + 128 + 128 * 10 + 10"),
    "mnist_cnn": (1_256_080, None, "520 + 25,050 + 1,225,500 + 5,010"),
}
HE_TABLE_6 = {20: 0.27, 32: 0.46, 44: 0.66, 56: 0.85, 110: 1.7}
"""Millions of parameters of the ResNets for CIFAR-10, He et al. 2015."""
ARAUJO = {"alexnet": 195, "vgg16": 212, "resnet50": 483, "resnet101": 1027, "resnet152": 1507}
"""Receptive fields before the last pooling over all, Araujo et al. 2019; theirs are as stride_in_1x1."""

SMALL_OF_EACH_KIND = ["mnist_cnn", "mlp", "lenet5", "alexnet", "vgg16", "googlenet", "resnet18", "resnet50"]
SMALL_OF_EACH_KIND += ["resnet20_cifar", "se_resnet20_cifar", "resnet34_1d", "airbench94"]


@cache
def published(name, **arguments):
    """The rows of a network on its published input."""
    return summarize(name, arguments, MODELS[name].input_shape, MODELS[name].num_outputs)


def totals(name, **arguments):
    found = published(name, **arguments)
    return sum(row.parameters for row in found), sum(row.multiply_adds for row in found)


def last_field(name, **arguments):
    found = published(name, **arguments)
    (size,) = {axis.size for axis in [row.receptive_field for row in found if not row.receptive_field.whole][-1].axes}
    return size


@pytest.mark.parametrize("name", MODELS)
def test_the_catalogue_says_what_the_network_has(name):
    entry = MODELS[name]
    found = published(name)
    assert totals(name) == (entry.parameters, entry.multiply_adds)
    assert (found[0].shape, found[-1].shape) == (entry.input_shape, (entry.num_outputs,))


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_multiply_adds_are_the_published_ones(name):
    parameters, billions, source = PUBLISHED[name]
    assert MODELS[name].parameters == parameters, source
    if billions:
        assert round(MODELS[name].multiply_adds / 1e9, 3) == billions, source


@pytest.mark.parametrize("depth", HE_TABLE_6)
def test_the_resnets_for_cifar_are_those_of_the_paper(depth):
    blocks, entry = (depth - 2) // 6, MODELS[f"resnet{depth}_cifar"]
    assert entry.parameters / 1e6 == pytest.approx(HE_TABLE_6[depth], rel=0.03)
    multiply_adds = 32 * 32 * 9 * 3 * 16 + 64 * 10  # the first convolution and the last layer
    for stage, maps in enumerate((16, 32, 64)):
        one = (32 // 2**stage) ** 2 * 9 * maps * maps  # a 3x3 convolution; the first of a stage has half the inputs
        multiply_adds += 2 * blocks * one - (one // 2 if stage else 0)
    assert entry.multiply_adds == multiply_adds


def test_a_plain_network_has_the_parameters_of_the_residual_one_but_no_sum():
    assert totals("resnet56_cifar", residual=False) == totals("resnet56_cifar")
    kinds = [row.layer for row in summarize("resnet20_cifar", {"residual": False}, (32, 32, 3), 10)]
    assert "Add" not in kinds
    assert [row.layer for row in published("resnet20_cifar")].count("Add") == 9


def test_the_resnets_of_the_paper_go_down_in_the_first_convolution():
    parameters, multiply_adds = totals("resnet50", stride_in_1x1=True)
    assert parameters == MODELS["resnet50"].parameters
    with keras.StatelessScope(initialize_variables=False):
        theirs = list(rows(keras.applications.ResNet50(weights=None)))
    assert multiply_adds == sum(row.multiply_adds for row in theirs) == 3_857_973_248  # 3.8e9 in the paper's table 1
    biases = sum(row.shape[-1] for row in theirs if row.layer.startswith("Conv2D"))
    assert sum(row.parameters for row in theirs) == parameters + biases


@pytest.mark.parametrize("depth", [16, 19])
def test_vgg_is_the_network_of_keras_layer_by_layer(depth):
    with keras.StatelessScope(initialize_variables=False):
        theirs = rows(getattr(keras.applications, f"VGG{depth}")(weights=None))
    ours = published(f"vgg{depth}")
    assert [(row.layer, row.shape, row.parameters) for row in ours if row.parameters] == [
        (row.layer, row.shape, row.parameters) for row in theirs if row.parameters
    ]


def test_alexnet_has_two_groups_as_in_the_paper_or_one():
    found = published("alexnet")
    parameters = [row.parameters for row in found if row.layer.startswith("Conv2D")]
    assert parameters == [
        96 * (11 * 11 * 3 + 1),
        256 * (5 * 5 * 48 + 1),
        384 * (3 * 3 * 256 + 1),
        384 * (3 * 3 * 192 + 1),
        256 * (3 * 3 * 192 + 1),
    ]
    assert totals("alexnet", groups=1) == (62_378_344, 1_135_256_096)


def test_lenet_has_its_layers_and_gives_mnist_a_border():
    for side, border in ((32, 0), (28, 1), (27, 1)):
        found = summarize("lenet5", {}, (side, side, 1), 10)
        assert [row.parameters for row in found if row.parameters] == [156, 2_416, 48_120, 10_164, 850]
        assert sum(row.layer == "ZeroPadding2D" for row in found) == border


def test_the_signal_network_has_33_convolutions_whose_parameters_add_up():
    found = published("resnet34_1d")
    assert sum(row.layer.startswith("Conv1D") for row in found) == 33
    parameters, before = 16 * 1 * 32 + 32, 32
    for block in range(16):
        maps = 32 * 2 ** (block // 4)
        parameters += 16 * before * maps + maps + 16 * maps * maps + maps  # two convolutions with biases
        parameters += 2 * before + 2 * maps  # their normalisations
        before = maps
    assert sum(row.parameters for row in found) == parameters + 2 * 256 + 257 * 4
    lengths = [-(-6000 // 2 ** ((block + 1) // 2)) for block in range(16)]  # every second block halves, rounding up
    assert [row.shape[0] for row in found if row.layer == "Add"] == lengths


def lecture_cnn(input_shape):
    """mnist_cnn as the lecture has it: each ReLU before its pooling."""
    layers = keras.layers
    x = images = layers.Input(input_shape)
    for filters in (20, 50):
        x = layers.MaxPooling2D(2, 2)(layers.Conv2D(filters, 5, padding="same", activation="relu")(x))
    return images, layers.Dense(500, activation="relu")(layers.Flatten()(x))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_the_mnist_network_is_the_lectures_to_the_last_bit(policy):
    images = np.random.default_rng(0).random((8, 28, 28, 1), np.float32)
    images[:, :6], images[:, :, 22:] = 0, 1  # plain areas, where all four values under a pooling are the same
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        ours, lecture = (keras.Model(*network((28, 28, 1))) for network in (mnist_cnn, lecture_cnn))
    finally:
        keras.config.set_dtype_policy(before)
    for variable, bias in zip(ours.weights, (False, True) * 3, strict=True):
        if bias:
            variable.assign(np.random.default_rng(1).normal(0, 0.1, variable.shape))
    lecture.set_weights(ours.get_weights())
    found = []
    for model in (ours, lecture):
        with tf.GradientTape() as tape:
            features = model(images, training=True)
            score = tf.reduce_sum(tf.square(features))
        gradients = tape.gradient(score, [variable.value for variable in model.weights])
        found.append([tf.cast(tensor, tf.float32).numpy() for tensor in (features, *gradients)])
    for tensor, theirs in zip(*found, strict=True):
        assert np.abs(theirs).max() > 0
        np.testing.assert_array_equal(tensor, theirs)


@pytest.mark.parametrize("name", ARAUJO)
def test_receptive_fields_are_the_published_ones(name):
    arguments = {"stride_in_1x1": True} if name.startswith("resnet") else {}
    assert last_field(name, **arguments) == ARAUJO[name]


def test_squeeze_and_excitation_sees_all_of_the_image_from_its_first_block_on():
    found = published("se_resnet20_cifar")
    first = next(index for index, row in enumerate(found) if row.layer == "Multiply")
    assert all(row.receptive_field.whole for row in found[first:])


@pytest.mark.parametrize("name", SMALL_OF_EACH_KIND)
def test_every_network_gives_float32_of_the_same_shape_in_half_precision(name):
    entry = MODELS[name]
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        with keras.StatelessScope(initialize_variables=False):
            inputs, outputs = build_network(name, {}, entry.input_shape, entry.num_outputs)
    finally:
        keras.config.set_dtype_policy(before)
    assert (inputs.shape, outputs.shape) == ((None, *entry.input_shape), (None, entry.num_outputs))
    assert outputs.dtype == "float32"


def test_a_head_for_numbers_has_no_softmax():
    images = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)
    classes = np.array(keras.Model(*build_network("mlp", {}, (28, 28, 1), 3))(images))
    np.testing.assert_allclose(classes.sum(axis=1), 1, rtol=1e-6)
    numbers = keras.Model(*build_network("mlp", {}, (28, 28, 1), 3, regression=True))
    assert np.array(numbers(images)).shape == (3, 3)
    assert numbers.layers[-1].activation is keras.activations.linear


def test_the_heads_dropout_comes_before_the_last_layer():
    *_, drop, last = keras.Model(*build_network("mnist_cnn", {}, (28, 28, 1), 10, dropout=0.4)).layers
    assert (drop.rate, type(last)) == (0.4, keras.layers.Dense)


def test_zero_init_residual_makes_every_block_the_identity():
    images = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    for residual in (True, False):
        model = keras.Model(*resnet_cifar((8, 8, 3), depth=8, zero_init_residual=True, residual=residual))
        gammas = [float(layer.gamma.value[0]) for layer in model.layers if hasattr(layer, "gamma")]
        assert gammas == ([1, 1, 0, 1, 0, 1, 0] if residual else [1] * 7)
    stem = keras.Model(*resnet_cifar((8, 8, 3), depth=2))
    model = keras.Model(*resnet_cifar((8, 8, 3), depth=8, zero_init_residual=True))
    for own, theirs in zip(stem.weights, model.weights, strict=False):
        theirs.assign(own)
    first = keras.Model(model.input, next(layer for layer in model.layers if layer.name.startswith("add")).output)
    np.testing.assert_allclose(first(images).numpy().mean(axis=(1, 2)), stem(images).numpy(), rtol=1e-5)


def test_a_shortcut_of_option_a_takes_every_second_pixel_and_adds_maps_of_zeros():
    inputs, features = resnet_cifar((8, 8, 3), depth=8)
    pads = [node for node in keras.Model(inputs, features).operations if type(node).__name__ == "Pad"]
    image = np.random.default_rng(0).random((1, 8, 8, 3), np.float32)
    before, after = (np.array(keras.Model(inputs, t)(image)) for t in (pads[0].input, pads[0].output))
    stage = next(
        layer for layer in keras.Model(inputs, features).layers if isinstance(layer, keras.layers.MaxPooling2D)
    )
    np.testing.assert_array_equal(before, np.array(keras.Model(inputs, stage.input)(image))[:, ::2, ::2])
    np.testing.assert_array_equal(after[..., 8:24], before)
    assert not after[..., :8].any()
    assert not after[..., 24:].any()


@pytest.mark.parametrize("build", [lambda: resnet_cifar((8, 8, 3), depth=8, squeeze_ratio=4), lambda: _normalizing()])
def test_a_saved_model_loads_again(build, tmp_path):
    model = keras.Model(*build())
    model.save(tmp_path / "model.keras")
    image = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    np.testing.assert_array_equal(
        keras.models.load_model(tmp_path / "model.keras").predict_on_batch(image), model.predict_on_batch(image)
    )


def _normalizing():
    from hpcdl.train.models.normalization import LocalResponseNormalization

    images = keras.Input((8, 8, 3))
    return images, LocalResponseNormalization()(images)


def test_response_normalization_follows_the_papers_formula():
    from hpcdl.train.models.normalization import LocalResponseNormalization

    values = np.random.default_rng(0).normal(0, 100, (1, 1, 1, 9)).astype(np.float32)
    squares = np.pad(values[0, 0, 0] ** 2, 2)
    expected = values[0, 0, 0] / (2 + 1e-4 * np.array([squares[k : k + 5].sum() for k in range(9)])) ** 0.75
    np.testing.assert_allclose(np.array(LocalResponseNormalization()(values))[0, 0, 0], expected, rtol=1e-5)


LEARNING = [
    # name, shape of a small input, arguments, learning rate
    ("mlp", (8, 8, 1), {}, 3e-3),
    ("lenet5", (28, 28, 1), {}, 3e-3),
    ("mnist_cnn", (12, 12, 1), {}, 3e-3),
    ("mnist_cnn", (12, 12, 1), {"blocks": 3, "filters": 8, "kernel_size": 3, "dense": 64}, 2e-2),
]
LEARNING_SLOWLY = [
    ("resnet20_cifar", (8, 8, 3), {}, 3e-3),
    ("airbench94", (9, 9, 3), {"maps_1": 8, "maps_2": 16, "maps_3": 16}, 3e-2),  # its features are divided by 9
    ("se_resnet20_cifar", (8, 8, 3), {"zero_init_residual": True}, 3e-3),
    ("resnet34_1d", (256, 2), {"maps": 4, "dropout": 0.0}, 3e-3),
    ("resnet18", (32, 32, 3), {}, 1e-3),
    ("resnet50", (32, 32, 3), {"zero_init_residual": True}, 1e-3),
    ("googlenet", (32, 32, 3), {"dropout": 0.0}, 3e-4),
    ("alexnet", (67, 67, 3), {"dropout": 0.0}, 1e-4),
    ("vgg16", (32, 32, 3), {"dropout": 0.0}, 1e-4),
]


@pytest.mark.parametrize(
    ("name", "shape", "arguments", "rate"),
    LEARNING + [pytest.param(*case, marks=pytest.mark.slow) for case in LEARNING_SLOWLY],
)
def test_a_network_learns_a_few_examples(name, shape, arguments, rate):
    keras.utils.set_random_seed(3)
    classes = np.arange(8) % 4
    brightness = classes.reshape(8, *(1 for _ in shape)) / 4
    images = (brightness + np.random.default_rng(3).random((8, *shape)) / 2).astype(np.float32)
    model = keras.Model(*build_network(name, arguments, shape, 4))
    # Without a graph: to trace one takes longer than these few steps.
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", run_eagerly=True)
    losses = []
    for _ in range(12):
        model.reset_metrics()  # else Keras returns the mean over the steps so far
        losses.append(float(model.train_on_batch(images, classes)))
    assert min(losses[-3:]) < 0.75 * losses[0], losses


@pytest.mark.parametrize("name", MODELS)
def test_the_arguments_read_from_the_text_are_those_of_the_function(name):
    module, function = MODELS[name].function.split(":")
    parameters = inspect.signature(getattr(import_module(f"hpcdl.train.models.{module}"), function)).parameters
    read = read_arguments(MODELS[name].function)
    assert list(parameters) == ["input_shape", *read]
    assert set(MODELS[name].fixed) <= set(read)
    assert {kind for argument, kind in read.items() if argument not in MODELS[name].fixed} <= set(KINDS)


@pytest.mark.parametrize("name", [name for name in SMALL_OF_EACH_KIND if MODELS[name].smallest > 1])
def test_the_smallest_input_is_taken_and_a_smaller_one_refused(name):
    entry = MODELS[name]
    *sides, channels = entry.input_shape
    assert summarize(name, {}, (*(entry.smallest for _ in sides), channels), 2)[-1].shape == (2,)
    with pytest.raises(JobFileError, match=f"{name} needs .* at least {entry.smallest}"):
        summarize(name, {}, (entry.smallest - 1, *(entry.smallest for _ in sides[1:]), channels), 2)


@pytest.mark.parametrize("name", SMALL_OF_EACH_KIND)
def test_no_convolution_goes_down_from_a_single_value(name):
    """In bfloat16 on a CPU its gradient would be garbage, see Entry.smallest."""
    entry = MODELS[name]
    least = (*(max(entry.smallest, 2) for _ in entry.input_shape[:-1]), entry.input_shape[-1])
    with keras.StatelessScope(initialize_variables=False):
        model = keras.Model(*build_network(name, {}, least, 2))
    strided = [layer for layer in model.layers if "Conv" in type(layer).__name__ and set(layer.strides) != {1}]
    assert all(min(layer.input.shape[1:-1]) > 1 for layer in strided)


@pytest.mark.parametrize(
    ("name", "shape", "text"),
    [
        ("resnet18", (100, 2), "resnet18 takes images \\(height, width, channels\\), but an input is 100x2 here"),
        ("resnet34_1d", (8, 8, 3), "resnet34_1d takes signals \\(length, channels\\), but an input is 8x8x3 here"),
    ],
)
def test_inputs_of_another_kind_are_refused(name, shape, text):
    with pytest.raises(JobFileError, match=text):
        build_network(name, {}, shape, 2)


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("resnet5O", {}, "'resnet5O' is no model. Did you mean 'resnet50'?"),
        ("transformer", {}, "'transformer' is no model. `hpcdl models` lists them; your own is `module:function`."),
        ("resnet50", {"zero_init": True}, "resnet50 has no argument 'zero_init'. Did you mean 'zero_init_residual'?"),
        ("resnet50", {"depth": 34}, "resnet50 has no argument 'depth'; it takes zero_init_residual, stride_in_1x1"),
        ("mnist_cnn", {"width": 2}, "mnist_cnn has no argument 'width'; it takes blocks, filters, kernel_size, dense."),
        ("vgg16", {"dropout": 1.0}, "vgg16 cannot have dropout 1.0; it must be less than 1."),
        ("mlp", {"hidden": 0}, "mlp cannot have hidden 0; it must be greater than or equal to 1."),
        (
            "resnet18",
            {"zero_init_residual": 1},
            "resnet18 cannot have zero_init_residual 1; it must be a valid boolean.",
        ),
        ("lenet5", {"activation": "relo"}, "lenet5 cannot have activation 'relo'; it must be 'elu', "),
    ],
)
def test_a_wrong_name_or_argument_is_refused_with_the_right_one(name, arguments, text):
    with pytest.raises(ValueError, match=name) as raised:
        catalogue.check(name, arguments)
    assert str(raised.value).startswith(text)


def test_the_lectures_network_has_other_sizes():
    expected = 25 * 8 + 8 + (25 * 8 * 20 + 20) + (25 * 20 * 50 + 50) + (3 * 3 * 50 * 64 + 64) + (64 * 10 + 10)
    assert totals("mnist_cnn", blocks=3, filters=8, dense=64)[0] == expected
    with pytest.raises(JobFileError, match="28 pixels are gone before; at most 4 blocks"):
        build_network("mnist_cnn", {"blocks": 5}, (28, 28, 1), 10)
