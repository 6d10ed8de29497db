"""What all pictures share: how an input is shown, colours, grids, and the files.

Colours that the colour-blind tell apart: cividis for amounts, PuOr for signed numbers, blue and vermilion (Okabe and
Ito, 2008) for right and wrong, which are never told by colour alone.
"""

import io
import math
from pathlib import Path
from typing import Any

import numpy as np

from hpcdl.errors import HpcdlError, LookError
from hpcdl.files import write_atomically

try:
    from matplotlib.figure import Figure
except ImportError as fault:
    raise HpcdlError(f"pictures need matplotlib ({fault}). Install it: pip install 'hpcdl[report]'.") from None

AMOUNT = "cividis"
SIGNED = "PuOr_r"
RIGHT, WRONG, LINE = "#0072B2", "#D55E00", "#222222"
BEYOND = "#c6dbef"
"""Shown where there is no input: a patch beyond the border."""
DOTS_PER_INCH = 160


def grid(count: int, columns: int, width: float, height: float, **words: Any) -> tuple[Figure, list[Any]]:
    """Return a figure and its axes, row by row, for `count` pictures of so many inches, at most `columns` in a row."""
    across = min(count, columns)
    rows = math.ceil(count / across)
    figure = Figure(figsize=(max(across * width, 4.5), rows * height + 0.9), layout="constrained")
    axes = figure.subplots(rows, across, squeeze=False, **words).ravel().tolist()
    for empty in axes[count:]:
        empty.set_axis_off()
    return figure, axes[:count]


def show_input(axes: Any, values: np.ndarray, low: float = 0.0, high: float = 1.0) -> None:
    """Draw one input as a person would see it: grey, in colour, or as a line for each channel; NaN is no input.

    Args:
        values: float32, shape (height, width, channels), of other than 1 or 3 channels the mean; or (length, channels).
    """
    if values.ndim == 2:
        axes.plot(values, color=LINE, linewidth=0.8)
        axes.margins(x=0)
        return
    axes.set_facecolor(BEYOND)
    if values.shape[-1] == 3:
        shown = np.clip((values - low) / (high - low), 0, 1)
        missing = np.isnan(shown).any(axis=-1)
        axes.imshow(np.dstack([np.nan_to_num(shown), ~missing]))
    else:
        axes.imshow(np.ma.masked_invalid(values.mean(axis=-1)), cmap="gray", vmin=low, vmax=high)
    bare(axes)


def show_signed(axes: Any, values: np.ndarray, reach: float) -> Any:
    """Draw an image of signed numbers from -reach to reach: in colour where it has three channels, grey being zero.

    Returns:
        What a colour bar can be made of, None for an image in colour.
    """
    bare(axes)
    if values.shape[-1] == 3:
        axes.imshow(0.5 + values / (2 * reach))
        return None
    return axes.imshow(values.mean(axis=-1), cmap=SIGNED, vmin=-reach, vmax=reach)


def bare(axes: Any) -> None:
    """Take away ticks and their labels, which mean nothing on a small picture."""
    axes.set_xticks([])
    axes.set_yticks([])


def frame(axes: Any, colour: str) -> None:
    """Draw a frame of a colour around a picture."""
    for side in axes.spines.values():
        side.set(color=colour, linewidth=2.5, visible=True)


def caption(figure: Figure, title: str, source: str) -> None:
    """Give a figure its title and, small below it, where the method is from."""
    figure.suptitle(title, fontsize=12)
    figure.supxlabel(source, fontsize=7, color="#555555")


def save(figure: Figure, path: Path, kinds: tuple[str, ...] = ("png", "pdf")) -> None:
    """Write a figure to path.png and path.pdf, the same bytes for the same figure.

    Raises:
        LookError: the folder cannot be written.
    """
    figure.draw_without_rendering()  # lays it out, which takes longer than to draw it
    figure.set_layout_engine("none")
    for kind in kinds:
        content = io.BytesIO()
        dates = {"CreationDate": None} if kind == "pdf" else {}
        figure.savefig(content, format=kind, dpi=DOTS_PER_INCH, metadata=dates)
        try:
            write_atomically(path.with_name(f"{path.name}.{kind}"), content.getvalue())
        except OSError as fault:
            raise LookError(
                f"{path.parent}: cannot be written ({fault.strerror}). Choose another folder by -o."
            ) from None
