"""Decoding JPEG and PNG images to arrays of one size, with Pillow."""

import io
from typing import Any

import numpy as np

from hpcdl.errors import DataError

SUFFIXES = {".jpg", ".jpeg", ".png"}
"""How the names of images end, in small letters; other files in a folder of images are left out."""

FORMATS = ("JPEG", "PNG")
REMEDY = "Replace it, or take it out of the data."


def decode(
    content: bytes, name: str, image_size: int | None, resize: int | None = None, channels: int = 3
) -> np.ndarray:
    """Return an image as uint8 of shape (height, width, channels), values 0..255.

    The shorter side is scaled to `resize` pixels (image_size if None) and the middle square of image_size is cut out,
    as is usual for ImageNet. A JPEG that is much larger is decoded at a half, a quarter or an eighth right away.

    Args:
        content: a JPEG or PNG file.
        name: what to call it in an error.
        image_size: height and width of the result; None keeps the image's own.
        channels: 3 for colour, 1 for grey.

    Raises:
        DataError: it is no image, cut or corrupt.
    """
    from PIL import Image, UnidentifiedImageError

    mode = "L" if channels == 1 else "RGB"
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image_size is None:
                return _array(image.convert(mode), channels)
            shorter = resize or image_size
            scale = shorter / min(image.size)
            image.draft(mode, (round(image.width * scale), round(image.height * scale)))
            side = min(image.size) * image_size / shorter  # of the square, in pixels of the image as it is now
            left, top = (image.width - side) / 2, (image.height - side) / 2
            box = (left, top, left + side, top + side)
            size = (image_size, image_size)
            return _array(image.convert(mode).resize(size, Image.Resampling.BILINEAR, box), channels)
    except UnidentifiedImageError:
        raise DataError(f"{name}: is no whole image (neither JPEG nor PNG). {REMEDY}") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as fault:
        reason = " ".join(str(fault).split()) or type(fault).__name__
        raise DataError(f"{name}: is no whole image ({reason}). {REMEDY}") from None


def _array(image: Any, channels: int) -> np.ndarray:
    return np.asarray(image).reshape(image.height, image.width, channels)
