"""Inputs of a network from single files: images of any size, signals as NumPy arrays."""

from pathlib import Path

import numpy as np
from PIL import Image

from hpcdl.errors import DataError

IMAGES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
SIGNALS = frozenset({".npy"})
"""What belongs to these is read, by the end of a file's name in small letters."""


def read_input(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Return what a file holds as one input of a network.

    Args:
        shape: (height, width, channels) with 1 or 3 channels for an image, which is scaled to it; (length, channels)
            for a signal, which must have it; a signal of one channel may also have shape (length,).
    Returns:
        uint8, values 0..255, for images; float32 for signals.
    Raises:
        DataError: the file cannot be read, or is not of that shape.
    """
    try:
        return _read_image(path, shape) if len(shape) == 3 else _read_signal(path, shape)
    except (OSError, ValueError, EOFError, SyntaxError, Image.DecompressionBombError) as fault:
        what = "no such file" if isinstance(fault, FileNotFoundError) else " ".join(str(fault).split())
        raise DataError(f"{path}: cannot be read as an input of shape {shape} ({what}).") from None


def _read_image(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    height, width, channels = shape
    if channels not in (1, 3):
        raise ValueError(f"the network takes {channels} channels, an image file has 1 or 3")
    with Image.open(path) as file:
        image = file.convert("L" if channels == 1 else "RGB")
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(shape)


def _read_signal(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    values = np.load(path, allow_pickle=False)
    if values.shape == shape[:1] and shape[1] == 1:
        values = values[:, None]
    if values.shape != shape or not np.issubdtype(values.dtype, np.number) or not np.isfinite(values).all():
        raise ValueError(
            f"it holds {values.dtype} of shape {values.shape}; finite numbers of the network's shape are needed"
        )
    return values.astype(np.float32)
