"""Random changes to a batch of training, drawn for the global batch: any number of ranks sees the same changed inputs.

Every draw depends on the job's seed and the step alone, so a run that is continued draws what it would have drawn.
"""

import math
from typing import Any

import keras
import tensorflow as tf

from hpcdl.errors import JobFileError
from hpcdl.training import Augmentation

GREY = (0.2989, 0.587, 0.114)
"""What red, green and blue count for the grey of a pixel: ITU-R BT.601, as torchvision rounds it."""
PROPORTIONS = (3 / 4, 4 / 3)
"""Between which a cropped rectangle's proportions lie, in relation to the image's: Inception's, as all use them."""
HASH_FACTORS = (0x85EBCA6B, 0xC2B2AE35)
"""Of the last rounds of MurmurHash3, which let every bit of a number change every other."""
SEED_STRIDE = 0x9E3779B1
FOR_IMAGES = ("flip", "crop", "translate", "rotate", "brightness", "contrast", "saturation", "cutout", "cutmix")
FOR_SIGNALS = ("amplitude", "noise")


def check(augmentation: Augmentation, shape: tuple[int, ...], classes: bool) -> None:
    """Refuse what makes no sense for the data.

    Args:
        shape: of one input: (height, width, channels) of an image, (length, channels) of a signal.
        classes: whether the targets are classes.
    Raises:
        JobFileError: says what is asked for and what there is.
    """
    signals = len(shape) == 2
    for name in FOR_IMAGES if signals else FOR_SIGNALS:
        if getattr(augmentation, name):
            what, others = ("signals", "images") if signals else ("images", "signals")
            raise JobFileError(f"train.augment.{name} is for {others}, but the data are {what}. Leave it out.")
    if augmentation.shift >= min(shape[:-1]):
        raise JobFileError(
            f"train.augment.shift: {augmentation.shift} would move inputs of {' x '.join(map(str, shape[:-1]))} out of "
            f"sight; the most is {min(shape[:-1]) - 1}."
        )
    if augmentation.saturation and shape[-1] != 3:
        raise JobFileError(f"train.augment.saturation needs 3 channels, the data have {shape[-1]}. Leave it out.")
    if (augmentation.mixup or augmentation.cutmix) and not classes:
        name = "mixup" if augmentation.mixup else "cutmix"
        raise JobFileError(f"train.augment.{name} mixes classes, but the targets are numbers. Leave it out.")


def augment(
    inputs: Any, targets: Any, augmentation: Augmentation, seed: Any, first: int, total: int, mirrored: Any = None
) -> tuple[Any, Any]:
    """Return randomly changed inputs, and their targets.

    Args:
        inputs: this rank's part of the global batch: images, shape (batch, height, width, channels), values 0..255, or
            signals, shape (batch, length, channels).
        targets: float32, shape (batch, num_classes); only mixup and cutmix touch them.
        seed: int32, shape (2,): seed and step.
        first, total: where the part begins in the global batch, and how many inputs that has; with mixup and cutmix
            `first` and the part's length are even.
        mirrored: bool, shape (batch,): which images `flip` mirrors; None for half of them by chance.
    Returns:
        Inputs of the given type, or float32 in the same range where values between pixels are needed, and targets.
    """
    draw = _Draw(seed, first, total, tf.shape(inputs)[0])
    if augmentation.shift:
        inputs = _shift(inputs, augmentation.shift, draw)
    if augmentation.flip:
        chosen = draw.uniform("flip")[:, 0] < 0.5 if mirrored is None else mirrored
        inputs = tf.where(chosen[:, None, None, None], tf.reverse(inputs, [2]), inputs)
    if augmentation.crop or augmentation.translate or augmentation.rotate:
        inputs = _move(tf.cast(inputs, tf.float32), augmentation, draw)
    inputs = _recolour(inputs, augmentation, draw)
    if augmentation.cutout:
        inputs = _cut_out(inputs, augmentation.cutout, draw)
    if augmentation.amplitude:
        inputs = tf.cast(inputs, tf.float32) * draw.factor("amplitude", augmentation.amplitude)[:, :, None]
    if augmentation.noise:
        noise = draw.normal("noise", tuple(inputs.shape[1:]))
        inputs = tf.cast(inputs, tf.float32) + augmentation.noise * noise
    if augmentation.mixup or augmentation.cutmix:
        inputs, targets = _mix(tf.cast(inputs, tf.float32), targets, augmentation, draw)
    return inputs, targets


def alternate(indices: Any, epoch: Any, seed: int) -> Any:
    """Return which images are mirrored in an epoch: half of them, in the next epoch the other half.

    Source: K. Jordan, https://arxiv.org/abs/2404.00498, section 3.6.

    Args:
        indices: int32, shape (batch,): the images' places in the data set.
        epoch: int32, from 0.
    Returns:
        bool, shape (batch,).
    """
    hashed = tf.cast(indices, tf.int64) + SEED_STRIDE * seed % 2**32
    for factor in HASH_FACTORS:
        hashed = tf.bitwise.bitwise_xor(hashed, hashed // 2**16) * factor % 2**32
    return (hashed // 2**31 + tf.cast(epoch, tf.int64)) % 2 == 1


class _Draw:
    """Random numbers of a step, a row for each input of the global batch, of which this rank gets its part."""

    PURPOSES = "shift flip crop translate rotate brightness contrast saturation cutout amplitude noise mixup cutmix box"

    def __init__(self, seed: Any, first: int, total: int, batch: Any):
        self._seed, self._first, self.total, self._batch = seed, first, total, batch

    def seed(self, purpose: str) -> Any:
        """A seed for each purpose, so that what is switched on beside it does not change what is drawn."""
        number = self.PURPOSES.split().index(purpose)
        return tf.random.experimental.stateless_fold_in(self._seed, number) if number else self._seed

    def integers(self, purpose: str, columns: int, limit: int) -> Any:
        """int32 0..limit - 1, shape (batch, columns)."""
        return self.part(tf.random.stateless_uniform((self.total, columns), self.seed(purpose), 0, limit, tf.int32))

    def uniform(self, purpose: str, columns: int = 1) -> Any:
        """float32 0..1, shape (batch, columns)."""
        return self.part(self.everyone(purpose, columns))

    def everyone(self, purpose: str, columns: int) -> Any:
        """As `uniform` for the whole global batch: what is computed from it by more than sums and products must be cut
        afterwards, since a vector unit's exp or cos differs in the last bit with the place in the array."""
        return tf.random.stateless_uniform((self.total, columns), self.seed(purpose))

    def factor(self, purpose: str, reach: float) -> Any:
        """float32 between 1 - reach and 1 + reach, shape (batch, 1)."""
        return 1 + reach * (2 * self.uniform(purpose) - 1)

    def normal(self, purpose: str, shape: tuple[int, ...]) -> Any:
        return self.part(tf.random.stateless_normal((self.total, *shape), self.seed(purpose)))

    def beta(self, purpose: str, alpha: float) -> Any:
        """One number from Beta(alpha, alpha) for the whole step."""
        first, second = tf.unstack(tf.random.stateless_gamma((2,), self.seed(purpose), alpha) + 1e-30)  # never 0 / 0
        return first / (first + second)

    def once(self, purpose: str, count: int) -> Any:
        """float32 0..1, shape (count,), for the whole step."""
        return tf.random.stateless_uniform((count,), self.seed(purpose))

    def part(self, rows: Any) -> Any:
        """This rank's rows of the global batch's."""
        return rows[self._first : self._first + self._batch]


def _shift(inputs: Any, reach: int, draw: _Draw) -> Any:
    """Pad each side with `reach` zeros and cut out the old size somewhere."""
    sizes = inputs.shape[1:-1]
    offsets = draw.integers("shift", len(sizes), 2 * reach + 1)
    moved = tf.pad(inputs, ((0, 0), *((reach, reach) for _ in sizes), (0, 0)))
    for axis, size in enumerate(sizes):
        shown = offsets[:, axis : axis + 1] + tf.range(size)[None]  # (batch, size): the padded rows that each shows
        moved = tf.gather(moved, shown, axis=axis + 1, batch_dims=1)
    return moved


def _move(images: Any, augmentation: Augmentation, draw: _Draw) -> Any:
    """Crop, rotate and translate in one bilinear look-up; what comes from outside the image is zero.

    For every pixel of the result the matrix says where in the image it comes from: back over the translation, back
    over the rotation about the centre, into the cropped rectangle. Pixels are squares with their centres at whole
    numbers, so a rectangle scales about -0.5.
    """
    height, width = images.shape[1:3]
    nothing = tf.zeros(draw.total)
    angle, along_x, along_y, left, top = (nothing for _ in range(5))
    scale_x, scale_y = nothing + 1, nothing + 1
    if augmentation.crop:
        area, proportions, place_x, place_y = tf.unstack(draw.everyone("crop", 4), axis=1)
        area = augmentation.crop + (1 - augmentation.crop) * area
        low, high = (math.log(bound) for bound in PROPORTIONS)
        proportions = tf.exp(low + (high - low) * proportions)
        scale_x, scale_y = tf.minimum(tf.sqrt(area * proportions), 1), tf.minimum(tf.sqrt(area / proportions), 1)
        left, top = place_x * (1 - scale_x) * width, place_y * (1 - scale_y) * height
    if augmentation.rotate:
        angle = math.radians(augmentation.rotate) * (2 * draw.everyone("rotate", 1)[:, 0] - 1)
    if augmentation.translate:
        parts = augmentation.translate * (2 * draw.everyone("translate", 2) - 1)
        along_x, along_y = parts[:, 0] * width, parts[:, 1] * height
    cosine, sine = tf.cos(angle), tf.sin(angle)
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    from_x, from_y = centre_x + along_x, centre_y + along_y
    x = centre_x - (cosine * from_x - sine * from_y)
    y = centre_y - (sine * from_x + cosine * from_y)
    matrix = [
        *(scale_x * cosine, -scale_x * sine, scale_x * (x + 0.5) - 0.5 + left),
        *(scale_y * sine, scale_y * cosine, scale_y * (y + 0.5) - 0.5 + top),
        *(nothing, nothing),
    ]
    places = draw.part(tf.stack(matrix, axis=1))
    return keras.ops.image.affine_transform(images, places, "bilinear", "constant", 0.0)


def _recolour(images: Any, augmentation: Augmentation, draw: _Draw) -> Any:
    """Change brightness, contrast and saturation, in this order, each cut to 0..255: torchvision's definitions."""
    for name in ("brightness", "contrast", "saturation"):
        reach = getattr(augmentation, name)
        if not reach:
            continue
        images = tf.cast(images, tf.float32)
        factor = draw.factor(name, reach)[:, :, None, None]
        centre = tf.zeros_like(factor)
        if name != "brightness":
            centre = _grey(images)
        if name == "contrast":
            centre = tf.reduce_mean(centre, axis=(1, 2, 3), keepdims=True)
        images = tf.clip_by_value(centre + factor * (images - centre), 0.0, 255.0)
    return images


def _grey(images: Any) -> Any:
    if images.shape[-1] == len(GREY):
        return tf.reduce_sum(images * tf.constant(GREY), axis=-1, keepdims=True)
    return tf.reduce_mean(images, axis=-1, keepdims=True)


def _cut_out(images: Any, side: int, draw: _Draw) -> Any:
    """Zero a square, of which only a part may lie in the image: DeVries and Taylor, https://arxiv.org/abs/1708.04552."""
    inside = []
    for axis, size in enumerate(images.shape[1:3]):
        first = tf.cast(draw.uniform("cutout", 2)[:, axis, None] * size, tf.int32) - side // 2
        inside.append((tf.range(size) >= first) & (tf.range(size) < first + side))
    square = inside[0][:, :, None, None] & inside[1][:, None, :, None]
    return tf.where(square, tf.zeros((), images.dtype), images)


def _mix(inputs: Any, targets: Any, augmentation: Augmentation, draw: _Draw) -> tuple[Any, Any]:
    """Mix each input with its neighbour: 0 with 1, 2 with 3; neighbours are on one rank for any number of ranks.

    `keep` says how much of an input stays at each place. Source: Zhang et al., mixup,
    https://arxiv.org/abs/1710.09412; Yun et al., CutMix, https://arxiv.org/abs/1905.04899; one ratio for a step.
    """
    ones = tf.ones(inputs.shape[1:-1])
    keep: Any = ones * draw.beta("mixup", augmentation.mixup) if augmentation.mixup else None
    if augmentation.cutmix:
        *centre, coin = tf.unstack(draw.once("box", 3))
        outside = ones - _box(inputs.shape[1:3], 1 - draw.beta("cutmix", augmentation.cutmix), centre)
        keep = outside if keep is None else tf.where(coin < 0.5, keep, outside)
    share = tf.reduce_mean(keep)
    keep = keep[None, ..., None]
    return keep * inputs + (1 - keep) * _neighbours(inputs), share * targets + (1 - share) * _neighbours(targets)


def _box(sizes: Any, area: Any, place: list[Any]) -> Any:
    """1 inside and 0 outside a rectangle of the image's proportions, centred anywhere and cut at the borders."""
    inside = []
    for axis, size in enumerate(sizes):
        length = tf.cast(tf.sqrt(area) * size, tf.int32)
        centre = tf.cast(place[axis] * size, tf.int32)
        first, last = centre - length // 2, centre + length // 2
        inside.append(tf.cast((tf.range(size) >= first) & (tf.range(size) < last), tf.float32))
    return inside[0][:, None] * inside[1][None, :]


def _neighbours(rows: Any) -> Any:
    shape = tf.shape(rows)
    pairs = tf.reshape(rows, tf.concat([[shape[0] // 2, 2], shape[1:]], 0))
    return tf.reshape(tf.reverse(pairs, [1]), shape)
