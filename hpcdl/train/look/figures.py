"""The figures of a look: arrays in, a figure out."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from hpcdl.train.pictures import AMOUNT, LINE, RIGHT, WRONG, bare, caption, frame, grid, show_input, show_signed

MOST = 64
"""Filters or channels in one figure; more cannot be told apart on a slide."""
SMALL = {"fontsize": 7, "pad": 2}


class Labelled(NamedTuple):
    """A small picture and what stands above it."""

    values: np.ndarray
    """An input or a part of one."""
    label: str
    right: bool | None = None
    """Whether to frame it as right or wrong."""


def filters(weights: np.ndarray, layer: str) -> Figure:
    """Draw the filters of the first layer.

    Args:
        weights: shape (filters, height, width, channels), or (filters, length, channels).
    """
    shown, reach = weights[:MOST], float(np.abs(weights).max()) or 1.0
    figure, places = grid(len(shown), columns=10, width=0.9, height=0.95)
    colours = None
    for number, (axes, values) in enumerate(zip(places, shown, strict=True)):
        if values.ndim == 3:
            colours = show_signed(axes, values, reach)
        else:
            axes.axhline(0, color="#aaaaaa", linewidth=0.5)
            axes.plot(values, linewidth=1)
            axes.set_ylim(-reach, reach)
            bare(axes)
        axes.set_title(str(number), **SMALL)
    if colours is not None:
        figure.colorbar(colours, ax=places, label="weight", shrink=0.8)
    size = "x".join(map(str, weights.shape[1:]))
    caption(
        figure,
        f"The {_first(len(shown), len(weights))} filters of the first layer ({layer}, {size})",
        "Grey or white is 0. After Krizhevsky et al. 2012"
        if weights.shape[-1] == 3
        else "After Krizhevsky et al. 2012",
    )
    return figure


def activations(values: np.ndarray, image: np.ndarray, layer: str, of: str) -> Figure:
    """Draw what a layer answers to one input.

    Args:
        values: shape (height, width, channels), (length, channels), or (units,).
        image: the input, shape (*input_shape).
        of: what the input is, in words.
    """
    title = f"What layer {layer} answers to {of}"
    if values.ndim == 1:
        figure, (first, second) = _beside(image, title, width=5.0)
        second.bar(np.arange(len(values)), values, width=1.0, color=RIGHT)
        second.set(xlabel="unit", ylabel="activation", xlim=(-0.5, len(values) - 0.5))
        return figure
    if values.ndim == 2:
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        first, second = figure.subplots(2, 1, height_ratios=(1, 2))
        show_input(first, image)
        first.set(ylabel="input", xticks=[])
        shown = second.imshow(values.T, aspect="auto", cmap=AMOUNT, interpolation="nearest")
        second.set(
            xlabel=f"position in the layer's maps (each is {len(image) / len(values):.3g} samples)", ylabel="channel"
        )
        figure.colorbar(shown, ax=[first, second], label="activation")
        caption(figure, title, "")
        return figure
    shown = values[..., :MOST]
    figure, (first, *places) = grid(shown.shape[-1] + 1, columns=10, width=0.9, height=0.95)
    show_input(first, image)
    first.set_title("input", **SMALL)
    frame(first, LINE)
    for number, axes in enumerate(places):
        colours = axes.imshow(shown[..., number], cmap=AMOUNT, vmin=values.min(), vmax=values.max())
        bare(axes)
        axes.set_title(str(number), **SMALL)
    figure.colorbar(colours, ax=[first, *places], label="activation", shrink=0.8)
    count = _first(shown.shape[-1], values.shape[-1])
    caption(figure, title, f"{count} channels, all on one scale")
    return figure


def patches(rows: Sequence[tuple[int, Sequence[Labelled]]], layer: str, data: str) -> Figure:
    """Draw the patches that make channels respond most: a row for each channel, greatest first.

    Args:
        rows: the number of the channel, and its patches with their activations.
    """
    across = max(len(patches) for _, patches in rows)
    wide = 0.95 if rows[0][1][0].values.ndim == 3 else 1.5
    figure = Figure(figsize=(across * wide + 0.8, len(rows) * 1.05 + 0.9), layout="constrained")
    places = figure.subplots(len(rows), across, squeeze=False)
    for (channel, row), line in zip(rows, places, strict=True):
        for axes in line[len(row) :]:
            axes.set_axis_off()
        for axes, patch in zip(line, row, strict=False):
            show_input(axes, patch.values)
            bare(axes)
            axes.set_title(patch.label, **SMALL)
        line[0].set_ylabel(f"channel {channel}", fontsize=8)
    beyond = ""
    if any(np.isnan(patch.values).any() for _, row in rows for patch in row):
        beyond = " Light blue: beyond the border." if rows[0][1][0].values.ndim == 3 else ""
    caption(
        figure,
        f"The patches of {data} to which channels of {layer} respond most",
        f"Above each patch the activation; each is as large as the receptive field.{beyond} "
        "After Zeiler and Fergus 2013, Girshick et al. 2014",
    )
    return figure


def dependence(image: np.ndarray, saliency: np.ndarray, guided: np.ndarray, score: str, of: str) -> Figure:
    """Draw what a score depends on: the input, its saliency, and its guided backpropagation.

    Args:
        saliency: shape (height, width) or (length,).
        guided: shape (*input_shape).
        score: of what the score is, in words.
    """
    source = "Saliency: Simonyan et al. 2013. Guided backpropagation: Springenberg et al. 2014"
    reach = float(np.abs(guided).max()) or 1.0
    if image.ndim == 2:
        figure = Figure(figsize=(8, 5), layout="constrained")
        first, second, third = figure.subplots(3, 1, sharex=True)
        time = np.arange(len(image))
        first.plot(image, color="#bbbbbb", linewidth=0.8)
        dots = first.scatter(time, image[:, 0], c=saliency, s=6, cmap=AMOUNT + "_r")
        figure.colorbar(dots, ax=first, label="saliency")
        second.fill_between(time, saliency, color=RIGHT, linewidth=0)
        third.plot(guided, linewidth=0.8, color=WRONG)
        first.set(ylabel="input")
        second.set(ylabel="saliency")
        third.set(ylabel="guided", xlabel="sample", ylim=(-reach, reach))
        first.margins(x=0)
        caption(figure, f"What {score} depends on: {of}", source)
        return figure
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    first, second, third = figure.subplots(1, 3)
    show_input(first, image)
    first.set_title(of, fontsize=9)
    shown = second.imshow(saliency, cmap=AMOUNT)
    bare(second)
    second.set_title("saliency: |gradient of the score|", fontsize=9)
    figure.colorbar(shown, ax=second, shrink=0.7)
    colours = show_signed(third, guided, reach)
    third.set_title("guided backpropagation", fontsize=9)
    if colours is not None:
        figure.colorbar(colours, ax=third, shrink=0.7)
    caption(figure, f"What {score} depends on", source)
    return figure


def ascent(images: Sequence[Labelled], regularisation: str) -> Figure:
    """Draw inputs that gradient ascent found."""
    signal = images[0].values.ndim == 2
    figure, places = grid(len(images), columns=2 if signal else 5, width=3.6 if signal else 1.6, height=1.6)
    for axes, image in zip(places, images, strict=True):
        show_input(axes, image.values)
        axes.set_title(image.label, fontsize=8, pad=3)
    caption(
        figure,
        "Gradient ascent: the inputs that the network likes best",
        f"{regularisation}. After Simonyan et al. 2013",
    )
    return figure


def neighbours(query: Labelled, found: Sequence[Labelled], data: str) -> Figure:
    """Draw an input and those of a data set that are nearest to it in the last hidden layer."""
    signal = query.values.ndim == 2
    figure, places = grid(len(found) + 1, columns=2 if signal else 6, width=3.6 if signal else 1.35, height=1.6)
    for axes, neighbour in zip(places, [query, *found], strict=True):
        show_input(axes, neighbour.values)
        bare(axes)
        axes.set_title(neighbour.label, fontsize=8, pad=3)
        if neighbour.right is not None:
            frame(axes, RIGHT if neighbour.right else WRONG)
    frame(places[0], LINE)
    caption(
        figure,
        f"The nearest neighbours among {data} in the last hidden layer",
        "d: Euclidean distance of the features. After Krizhevsky et al. 2012",
    )
    return figure


def _first(shown: int, there: int) -> str:
    return f"{there}" if shown == there else f"first {shown} of {there}"


def _beside(image: np.ndarray, title: str, width: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(3 + width, 3.2), layout="constrained")
    places = figure.subplots(1, 2, width_ratios=(3, width))
    show_input(places[0], image)
    caption(figure, title, "")
    return figure, places
