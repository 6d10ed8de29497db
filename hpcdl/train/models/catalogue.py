"""The networks by name: where each one is, for what it was published, and what it costs. Needs no Keras."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hpcdl.train.models.arguments import check_argument, read_arguments


@dataclass(frozen=True)
class Entry:
    """A network that hpcdl brings."""

    function: str
    """`module:function` in hpcdl.train.models."""
    input_shape: tuple[int, ...]
    """The shape of one input as published, channels last."""
    num_outputs: int
    """The number of classes as published."""
    parameters: int
    """Trained parameters with that input and those classes; the running statistics of batch normalisation, which are
    not trained, are not among them."""
    multiply_adds: int
    """Multiply-adds of one forward pass of one input: of convolutions and dense layers, without biases."""
    paper: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the function that the name stands for."""
    smallest: int = 1
    """The least height and width of an image, or length of a signal, in pixels or samples: one where a value is left
    after all that goes down. A strided convolution of a single value has wrong gradients in bfloat16 on a CPU: what
    oneDNN of TensorFlow 2.21 returns is in part memory that it never wrote."""
    any_rank: bool = False
    """It takes inputs of any number of axes; others only of as many as `input_shape` has."""
    first_weights: str | None = None
    """`module:function` that sets the weights with which the training begins, from images of the training; None where
    random ones do."""


IMAGENET, CIFAR = (224, 224, 3), (32, 32, 3)
LENET, ALEXNET = "LeCun et al. 1998, doi:10.1109/5.726791", "Krizhevsky et al. 2012, doi:10.1145/3065386"
VGG, GOOGLENET = "Simonyan, Zisserman 2014, arXiv:1409.1556", "Szegedy et al. 2014, arXiv:1409.4842"
RESNET, SENET = "He et al. 2015, arXiv:1512.03385", "Hu et al. 2017, arXiv:1709.01507"
AIRBENCH = "Jordan 2024, arXiv:2404.00498"
ECG = "Hannun et al. 2019, doi:10.1038/s41591-018-0268-3"


def _resnet(depth: int, parameters: int, multiply_adds: int, paper: str = RESNET, **fixed: Any) -> Entry:
    return Entry("resnet:resnet", IMAGENET, 1000, parameters, multiply_adds, paper, {"depth": depth, **fixed}, 32)


def _cifar(depth: int, parameters: int, multiply_adds: int, paper: str = RESNET, **fixed: Any) -> Entry:
    return Entry("resnet:resnet_cifar", CIFAR, 10, parameters, multiply_adds, paper, {"depth": depth, **fixed}, 4)


MODELS: dict[str, Entry] = {
    "mnist_cnn": Entry(
        "mnist_cnn:mnist_cnn", (28, 28, 1), 10, 1_256_080, 6_522_000, "a lecture's first network", {}, 4
    ),
    "mlp": Entry("mlp:mlp", (28, 28, 1), 10, 101_770, 101_632, "TensorFlow's first example", {}, 1, True),
    "lenet5": Entry("lenet:lenet5", (32, 32, 1), 10, 61_706, 416_520, LENET),
    "alexnet": Entry("alexnet:alexnet", (227, 227, 3), 1000, 60_965_224, 724_406_816, ALEXNET, {}, 67),
    "vgg16": Entry("vgg:vgg", IMAGENET, 1000, 138_357_544, 15_470_264_320, VGG, {"depth": 16}, 32),
    "vgg19": Entry("vgg:vgg", IMAGENET, 1000, 143_667_240, 19_632_062_464, VGG, {"depth": 19}, 32),
    "googlenet": Entry("googlenet:googlenet", IMAGENET, 1000, 6_998_552, 1_582_671_872, GOOGLENET, {}, 32),
    "resnet18": _resnet(18, 11_689_512, 1_814_073_344),
    "resnet34": _resnet(34, 21_797_672, 3_663_761_408),
    "resnet50": _resnet(50, 25_557_032, 4_089_184_256),
    "resnet101": _resnet(101, 44_549_160, 7_801_405_440),
    "resnet152": _resnet(152, 60_192_808, 11_513_626_624),
    "se_resnet50": _resnet(50, 28_088_024, 4_091_699_200, SENET, squeeze_ratio=16),
    "resnet20_cifar": _cifar(20, 269_722, 40_551_040),
    "resnet32_cifar": _cifar(32, 464_154, 68_862_592),
    "resnet44_cifar": _cifar(44, 658_586, 97_174_144),
    "resnet56_cifar": _cifar(56, 853_018, 125_485_696),
    "resnet110_cifar": _cifar(110, 1_727_962, 252_887_680),
    "se_resnet20_cifar": _cifar(20, 272_095, 40_553_056, SENET, squeeze_ratio=16),
    "se_resnet56_cifar": _cifar(56, 860_137, 125_491_744, SENET, squeeze_ratio=16),
    "airbench94": Entry(
        "airbench:airbench", CIFAR, 10, 1_971_338, 118_147_360, AIRBENCH, {}, 9, first_weights="airbench:first_weights"
    ),
    "resnet34_1d": Entry("resnet_1d:resnet34_1d", (6000, 1), 4, 10_466_148, 1_627_841_536, ECG, {}, 256),
}
"""The numbers are computed, by hpcdl.train.models.summary, and compared with the published ones in the tests."""


def check_name(name: str) -> Entry:
    """Return the network of a name.

    Raises:
        ValueError: there is none; the text names the nearest.
    """
    if name not in MODELS:
        near = difflib.get_close_matches(name, MODELS, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else "`hpcdl models` lists them; your own is `module:function`."
        raise ValueError(f"'{name}' is no model. {hint}")
    return MODELS[name]


def check(name: str, arguments: Mapping[str, Any]) -> None:
    """Check that there is a network of that name and that it takes these arguments.

    Raises:
        ValueError: there is none, or it does not; the text names the nearest right word.
    """
    entry = check_name(name)
    allowed = arguments_of(entry)
    for argument, value in arguments.items():
        if argument not in allowed:
            near = difflib.get_close_matches(argument, allowed, n=1)
            hint = f". Did you mean '{near[0]}'?" if near else f"; it takes {', '.join(allowed)}."
            raise ValueError(f"{name} has no argument '{argument}'{hint}")
        check_argument(name, argument, allowed[argument], value)


def check_input(name: str, input_shape: tuple[int, ...]) -> None:
    """Check that a network can look at inputs of this shape.

    Raises:
        ValueError: they have other axes, or are too small.
    """
    entry, shape = MODELS[name], "x".join(map(str, input_shape))
    if len(input_shape) != len(entry.input_shape) and not entry.any_rank:
        kind = "signals (length, channels)" if len(entry.input_shape) == 2 else "images (height, width, channels)"
        raise ValueError(f"{name} takes {kind}, but an input is {shape} here.")
    if min(input_shape[:-1], default=1) < entry.smallest:
        least = f"signals of at least {entry.smallest} samples"
        if len(entry.input_shape) == 3:
            least = f"images of at least {entry.smallest}x{entry.smallest} pixels"
        raise ValueError(f"{name} needs {least}, but an input is {shape} here.")


def arguments_of(entry: Entry) -> dict[str, str]:
    """Return the arguments that a job file may give to a network, and their kinds as in the function's signature."""
    kinds = read_arguments(entry.function)
    return {name: kind for name, kind in kinds.items() if name not in entry.fixed}
