"""Inputs of a network from single files: images of any size, signals as NumPy arrays."""

from pathlib import Path

import numpy as np

from hpcdl.errors import DataError
from hpcdl.train.data.images import SUFFIXES, decode

IMAGES, SIGNALS = frozenset(SUFFIXES), frozenset({".npy"})
"""How the names of such files end, in small letters."""


def read_input(path: Path, shape: tuple[int, ...], resize: int | None = None) -> np.ndarray:
    """Return what a file holds as one input of a network.

    Args:
        shape: (height, width, channels) with 1 or 3 channels for an image: of a square one the middle is cut out, as
            data sets do, others are stretched. (length, channels) for a signal, which must have that shape; a signal of
            one channel may also have shape (length,).
        resize: pixels of the shorter side before the middle is cut out.
    Returns:
        uint8, values 0..255, for images; float32 for signals.
    Raises:
        DataError: the file cannot be read, or is not of that shape.
    """
    try:
        if len(shape) == 2:
            return _read_signal(path, shape)
        content = path.read_bytes()
    except (OSError, ValueError, EOFError) as fault:
        what = "no such file" if isinstance(fault, FileNotFoundError) else " ".join(str(fault).split())
        raise DataError(f"{path}: cannot be read as an input of shape {shape} ({what}).") from None
    height, width, channels = shape
    if channels not in (1, 3):
        raise DataError(f"{path}: the network takes images of {channels} channels, a file has 1 or 3.")
    if height == width:
        return decode(content, str(path), height, resize, channels)
    return _stretched(decode(content, str(path), None, None, channels), height, width)


def _stretched(image: np.ndarray, height: int, width: int) -> np.ndarray:
    from PIL import Image

    if image.shape[:2] == (height, width):
        return image
    grey = image[..., 0] if image.shape[-1] == 1 else image
    scaled = Image.fromarray(grey).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(scaled).reshape(height, width, image.shape[-1])


def _read_signal(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    values = np.load(path, allow_pickle=False)
    if values.shape == shape[:1] and shape[1] == 1:
        values = values[:, None]
    if values.shape != shape or values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise ValueError(f"it holds {values.dtype} of shape {values.shape}; finite numbers of that shape are needed")
    return values.astype(np.float32)
