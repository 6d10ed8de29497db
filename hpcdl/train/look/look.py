"""All pictures of one look: a trained network, one input, a data set to compare with."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from matplotlib.figure import Figure

from hpcdl.errors import LookError
from hpcdl.train.data import Dataset
from hpcdl.train.look import figures
from hpcdl.train.look.ascent import Regularisation, ascend
from hpcdl.train.look.figures import Labelled
from hpcdl.train.look.filters import first_filters
from hpcdl.train.look.gradients import guided_backprop, saliency
from hpcdl.train.look.layers import features_of, find_layer, first_weights, last_maps, outputs_of, scores_of
from hpcdl.train.look.neighbours import nearest
from hpcdl.train.look.patches import cut, peaks
from hpcdl.train.look.receptive import receptive_field
from hpcdl.train.pictures import save
from hpcdl.train.trained import Trained, load_trained, scale

BATCH = 250
CHANNELS, PATCHES, NEIGHBOURS, ASCENTS = 8, 9, 11, 10
"""How many a figure shows where the user names none."""


@dataclass(frozen=True)
class Wish:
    """What is to be looked at."""

    image: str = "0"
    """A file, or the number of a test input."""
    data: str | None = None
    """The data set; the one of the network's run if absent."""
    layer: str | None = None
    """Whose activations and patches; the last convolution if absent."""
    target: str | None = None
    """Name or number of a class, or of a regression's target; what the network predicts if absent."""
    unit: int | None = None
    """A channel of the layer, for patches and ascent."""
    samples: int = 2000
    """How many test inputs are searched for patches and neighbours."""


@dataclass(frozen=True)
class Picture:
    """One picture that was written: name.png and name.pdf in the folder."""

    name: str
    about: str


@dataclass(frozen=True)
class Look:
    """A network and an input, ready to be looked at."""

    trained: Trained
    data: Dataset | None
    wish: Wish
    image: np.ndarray
    """As the network takes it."""
    index: int | None
    """Its place among the test inputs."""
    layer: keras.Layer
    target: int
    outputs: np.ndarray
    """What the network answers to the image."""

    def name(self, output: int) -> str:
        """A class or target in words."""
        names = (self.data.class_names or self.data.target_names) if self.data else ()
        return names[output] if output < len(names) else str(output)

    def truth(self, index: int) -> str:
        """The class of a test input in words; a regression's numbers."""
        assert self.data is not None
        value = self.data.test_targets[index]
        return self.name(int(value)) if self.trained.is_classifier else " ".join(f"{part:.2f}" for part in value)

    @property
    def of(self) -> str:
        """The image, in words: what it is and what the network takes it for."""
        what = (
            f"test input {self.index} ({self.truth(self.index)})"
            if self.index is not None
            else Path(self.wish.image).name
        )
        if self.trained.is_classifier:
            best = int(self.outputs.argmax())
            return f"{what}, taken for {self.name(best)} (p = {self.outputs[best]:.3f})"
        return f"{what}: " + ", ".join(f"{self.name(i)} = {value:.3f}" for i, value in enumerate(self.outputs))

    @property
    def samples(self) -> np.ndarray:
        """The test inputs that are searched, as the data set has them."""
        assert self.data is not None
        return np.asarray(self.data.test_inputs[: self.wish.samples])


def prepare(path: Path, wish: Wish) -> Look:
    """Load the network, the data and the input, and check what is asked for.

    Raises:
        LookError: something that is asked for is not there.
        DataError: the data set is unknown or not here.
    """
    trained = load_trained(path)
    data = trained.load_data(wish.data)
    index, row = _input(trained, data, wish.image)
    image = scale(row)
    layer = (
        find_layer(trained.model, wish.layer)
        if wish.layer
        else last_maps(trained.model) or first_weights(trained.model)
    )
    channels = layer.output.shape[-1]
    if wish.unit is not None and not 0 <= wish.unit < channels:
        raise LookError(f"--unit {wish.unit}: layer {layer.name} has {channels} channels; give 0 to {channels - 1}.")
    outputs = trained.model(image[None], training=False).numpy()[0]
    target = _target(wish.target, data, outputs, trained.is_classifier)
    return Look(trained, data, wish, image, index, layer, target, outputs)


def pictures(look: Look, folder: Path) -> Iterator[Picture]:
    """Make all pictures, one after the other, and yield each when it is on the disk.

    Patches and neighbours need a data set; without one they are left out.

    Raises:
        LookError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise LookError(f"{folder}: cannot be made ({fault.strerror}). Choose another folder by -o.") from None
    steps: list[tuple[str, str, Callable[[Look], Figure]]] = [
        ("filters", "What the first layer multiplies its input with.", _filters),
        ("activations", f"The output of layer {look.layer.name} for the input.", _activations),
        ("dependence", "How each part of the input moves the score.", _dependence),
        ("ascent", "Inputs made by gradient ascent.", _ascent),
    ]
    if look.data is not None:
        steps.append(("patches", "Where in the data set channels respond most.", _patches))
        steps.append(("neighbours", "What the network takes for most alike.", _neighbours))
    for name, about, draw in steps:
        save(draw(look), folder / name)
        yield Picture(name, about)


def _filters(look: Look) -> Figure:
    return figures.filters(first_filters(look.trained.model), first_weights(look.trained.model).name)


def _activations(look: Look) -> Figure:
    values = outputs_of(look.trained.model, look.layer)(look.image[None], training=False).numpy()[0]
    return figures.activations(values.astype(np.float32), look.image, look.layer.name, look.of)


def _dependence(look: Look) -> Figure:
    model, inputs = look.trained.model, look.image[None]
    score = f"the score of {look.name(look.target)}" if look.trained.is_classifier else look.name(look.target)
    gradients = saliency(model, inputs, look.target)[0], guided_backprop(model, inputs, look.target)[0]
    return figures.dependence(look.image, *gradients, score, look.of)


def _ascent(look: Look) -> Figure:
    model, wish = look.trained.model, look.wish
    signal = look.image.ndim == 2
    rule = Regularisation()
    bounds = None if signal else (0.0, 1.0)
    level = float(scale(look.samples[:BATCH]).mean()) if look.data is not None else 0.0 if signal else 0.5
    start = np.full(look.image.shape, level, np.float32)
    made = []
    if wish.unit is not None:
        part = outputs_of(model, look.layer)
        made.append(Labelled(ascend(part, start, [wish.unit], rule, bounds)[0], f"{look.layer.name}, unit {wish.unit}"))
    scores = scores_of(model)
    count = scores.output_shape[-1]
    targets = [look.target] if wish.target or wish.unit is not None else list(range(min(count, ASCENTS)))
    for target, image in zip(targets, ascend(scores, start, targets, rule, bounds), strict=True):
        score = float(scores(image[None], training=False)[0, target])
        made.append(Labelled(image, f"{look.name(target)} (score {score:.1f})"))
    return figures.ascent(made, f"From {level:.2f} everywhere; {rule.text}")


def _patches(look: Look) -> Figure:
    assert look.data is not None
    model, layer, samples = look.trained.model, look.layer, look.samples
    part = outputs_of(model, layer)
    answer = part(look.image[None], training=False).numpy()[0]
    strength = answer.reshape(-1, answer.shape[-1]).max(axis=0)
    chosen = (
        [look.wish.unit] if look.wish.unit is not None else np.argsort(-strength, kind="stable")[:CHANNELS].tolist()
    )
    maps = list(_batches(part, samples))
    rows = []
    for channel in chosen:
        row = []
        for peak in peaks(maps, channel, PATCHES):
            patch = cut(scale(samples[peak.sample]), receptive_field(model, layer, peak.position))
            row.append(Labelled(patch, f"{peak.value:.2f} ({look.truth(peak.sample)})"))
        rows.append((channel, row))
    return figures.patches(rows, layer.name, f"{len(samples)} test inputs of {look.data.name}")


def _neighbours(look: Look) -> Figure:
    assert look.data is not None
    part, samples = features_of(look.trained.model), look.samples
    features = np.concatenate(list(_batches(part, samples)))
    query = part(look.image[None], training=False).numpy()[0]
    places, distances = nearest(features, query, NEIGHBOURS + 1)
    found: list[Labelled] = []
    kind = look.truth(look.index) if look.index is not None else look.name(int(look.outputs.argmax()))
    for place, distance in zip(places, distances, strict=True):
        if place == look.index or len(found) == NEIGHBOURS:
            continue
        truth = look.truth(place)
        right = truth == kind if look.trained.is_classifier else None
        found.append(Labelled(scale(samples[place]), f"{truth}   d = {distance:.2f}", right))
    label = f"this input: {kind}" if look.trained.is_classifier else "this input"
    return figures.neighbours(Labelled(look.image, label), found, f"{len(samples)} test inputs of {look.data.name}")


def _batches(part: keras.Model, rows: np.ndarray) -> Iterator[np.ndarray]:
    for first in range(0, len(rows), BATCH):
        yield part(scale(rows[first : first + BATCH]), training=False).numpy().astype(np.float32)


def _input(trained: Trained, data: Dataset | None, text: str) -> tuple[int | None, np.ndarray]:
    """The place and the row of a test input, or None and what a file holds."""
    if not text.isdecimal():
        return None, trained.read(Path(text))
    if data is None:
        raise LookError(f"--image {text}: {trained.path} belongs to no run; name a data set by --data, or give a file.")
    index = int(text)
    if index >= len(data.test_inputs):
        raise LookError(f"--image {text}: {data.name} has {len(data.test_inputs)} test inputs, counted from 0.")
    return index, np.asarray(data.test_inputs[np.array([index])])[0]


def _target(text: str | None, data: Dataset | None, outputs: np.ndarray, is_classifier: bool) -> int:
    if text is None:
        return int(outputs.argmax()) if is_classifier else 0
    names: list[Any] = list(data.class_names or data.target_names) if data else []
    if text in names:
        return names.index(text)
    if text.isdecimal() and int(text) < len(outputs):
        return int(text)
    allowed = ", ".join(names) if names else f"0 to {len(outputs) - 1}"
    raise LookError(f"--class {text}: the network has no such output; give {allowed}.")
