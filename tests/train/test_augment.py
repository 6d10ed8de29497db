"""Each change of an image or a signal against NumPy, and that all numbers of ranks see the same one."""

import numpy as np
import pytest
import tensorflow as tf

from hpcdl.errors import JobFileError
from hpcdl.train.augment import alternate, augment, check
from hpcdl.training import Augmentation

SEED = tf.constant([5, 77])
ALL = {
    "flip": True,
    "shift": 2,
    "crop": 0.4,
    "translate": 0.2,
    "rotate": 30,
    "brightness": 0.4,
    "contrast": 0.4,
    "saturation": 0.4,
    "cutout": 3,
    "mixup": 0.4,
    "cutmix": 1.0,
}


def pictures(count=12, size=9, channels=3):
    """Smooth images, so that looking between pixels is exact enough, with a bright corner."""
    chance = np.random.default_rng(1)
    coarse = chance.integers(0, 256, (count, 3, 3, channels)).astype(np.uint8)
    return coarse.repeat(size // 3, axis=1).repeat(size // 3, axis=2)


def changed(images, seed=SEED, targets=None, **values):
    targets = np.eye(len(images), dtype=np.float32) if targets is None else targets
    out, mixed = augment(tf.constant(images), tf.constant(targets), Augmentation(**values), seed, 0, len(images))
    return np.array(out), np.array(mixed)


def test_nothing_asked_is_nothing_done():
    images = pictures()
    out, targets = changed(images)
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(out, images)
    np.testing.assert_array_equal(targets, np.eye(12))


def test_a_shift_moves_whole_images_and_fills_with_zeros():
    image = np.arange(1, 26, dtype=np.uint8).reshape(1, 5, 5, 1)
    moved, _ = changed(np.repeat(image, 200, axis=0), shift=1)
    padded = np.pad(image[0, :, :, 0], 1)
    windows = {padded[y : y + 5, x : x + 5].tobytes(): (y, x) for y in range(3) for x in range(3)}
    seen = [windows[one.tobytes()] for one in moved[..., 0]]  # a KeyError here: something else than a shift
    assert set(seen) == set(windows.values()), "200 images see all nine shifts"


def test_a_flip_mirrors_about_half_of_the_images():
    images = np.random.default_rng(1).integers(0, 256, (400, 5, 4, 3), np.uint8)
    out, _ = changed(images, flip=True)
    mirrored = [not np.array_equal(new, old) for new, old in zip(out, images, strict=True)]
    for new, old, is_mirrored in zip(out, images, mirrored, strict=True):
        np.testing.assert_array_equal(new, old[:, ::-1] if is_mirrored else old)
    assert 160 < sum(mirrored) < 240


def test_alternate_mirrors_half_of_the_images_and_then_the_others():
    indices = tf.range(5000)
    first, second, third = (np.array(alternate(indices, epoch, seed=1)) for epoch in range(3))
    assert 0.48 < first.mean() < 0.52
    np.testing.assert_array_equal(second, ~first)
    np.testing.assert_array_equal(third, first)
    assert 0.4 < (first == np.array(alternate(indices, 0, seed=2))).mean() < 0.6
    assert 0.4 < (first[1:] == first[:-1]).mean() < 0.6  # no pattern from neighbour to neighbour
    images = np.random.default_rng(1).integers(0, 256, (6, 5, 4, 3), np.uint8)
    targets = tf.constant(np.eye(6, dtype=np.float32))
    chosen = tf.constant([True, False, False, True, True, False])
    out, _ = augment(tf.constant(images), targets, Augmentation(flip="alternate"), SEED, 0, 6, chosen)
    np.testing.assert_array_equal(out, np.where(np.array(chosen)[:, None, None, None], images[:, :, ::-1], images))


def test_a_rotation_by_up_to_180_degrees_turns_about_the_centre():
    """The distance of a bright pixel from the centre stays, its angle is anything, both ways."""
    images = np.zeros((300, 21, 21, 1), np.uint8)
    images[:, 10, 16] = 255
    out, _ = changed(images, rotate=180)
    y, x = centres(out)
    np.testing.assert_allclose(np.hypot(y - 10, x - 10), 6, atol=0.15)
    angles = np.degrees(np.arctan2(y - 10, x - 10))
    assert angles.min() < -170
    assert angles.max() > 170
    little, _ = changed(images, rotate=15)
    angles = np.degrees(np.arctan2(*(centre - 10 for centre in centres(little))))
    assert 13 < np.abs(angles).max() <= 15.5


def test_a_translation_moves_by_parts_of_the_size_in_both_directions():
    images = np.zeros((300, 20, 30, 1), np.uint8)
    images[:, 8:12, 13:17] = 200
    out, _ = changed(images, translate=0.25)
    y, x = centres(out)
    assert 4.5 < np.abs(y - 9.5).max() <= 5
    assert 6.7 < np.abs(x - 14.5).max() <= 7.5
    np.testing.assert_allclose(out.sum(axis=(1, 2, 3)), 16 * 200, rtol=1e-4)
    assert abs((y - 9.5).mean()) < 0.5


def test_a_crop_shows_a_rectangle_of_the_asked_area_and_proportions():
    """On an image whose value is the place itself, the corners of the result tell which rectangle is seen."""
    size = 64
    place = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"), axis=-1).astype(np.uint8)
    out, _ = changed(np.repeat(place[None], 500, axis=0), crop=0.25)
    inner = out[:, 8:-8, 8:-8]  # the outermost pixels look half over the border of the image
    step = (inner[:, -1, -1] - inner[:, 0, 0]) / (size - 17)  # rows, columns of the image for each of the result
    area, proportions = step[:, 0] * step[:, 1], step[:, 1] / step[:, 0]
    assert area.min() == pytest.approx(0.25, abs=0.03)
    assert area.max() == pytest.approx(1, abs=0.03)
    assert proportions.min() == pytest.approx(3 / 4, abs=0.05)
    assert proportions.max() == pytest.approx(4 / 3, abs=0.05)
    first = inner[:, 0, 0] - 8 * step  # the place of the first pixel's centre, half a step inside the rectangle
    edges = np.stack([first - step / 2, first + step * (size - 0.5)])
    assert edges.min() > -0.6
    assert edges.max() < size - 0.4


def centres(images):
    weights = images.astype(np.float64).sum(axis=-1)
    total = weights.sum(axis=(1, 2))
    rows, columns = np.arange(images.shape[1]), np.arange(images.shape[2])
    return (weights.sum(axis=2) @ rows) / total, (weights.sum(axis=1) @ columns) / total


def test_brightness_contrast_and_saturation_scale_about_black_the_mean_grey_and_grey():
    images = np.random.default_rng(1).integers(90, 160, (200, 6, 6, 3), np.uint8)  # so that nothing is cut off
    plain = images.astype(np.float64)
    grey = (plain * [0.2989, 0.587, 0.114]).sum(axis=-1, keepdims=True)
    centres = {"brightness": 0 * grey, "contrast": grey.mean(axis=(1, 2, 3), keepdims=True), "saturation": grey}
    for name, centre in centres.items():
        out, _ = changed(images, **{name: 0.5})
        away, before = out - centre, plain - centre
        factors = (away * before).sum(axis=(1, 2, 3)) / (before**2).sum(axis=(1, 2, 3))
        np.testing.assert_allclose(away, factors[:, None, None, None] * before, atol=2e-2, err_msg=name)
        assert 0.5 <= factors.min() < 0.52, name
        assert 1.48 < factors.max() <= 1.5, name


def test_colours_stay_within_their_range():
    images = np.random.default_rng(1).integers(0, 256, (50, 6, 6, 3), np.uint8)
    out, _ = changed(images, brightness=1.0, contrast=1.0, saturation=1.0)
    assert out.min() >= 0
    assert out.max() <= 255


def test_a_cutout_zeroes_one_square_which_may_leave_the_image():
    images = np.full((300, 10, 12, 1), 7, np.uint8)
    out, _ = changed(images, cutout=4)
    sizes = set()
    for image in out[..., 0]:
        rows, columns = np.nonzero(image == 0)
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert height * width == len(rows), "a rectangle without holes"
        sizes.add((height, width))
    assert sizes == {(height, width) for height in (2, 3, 4) for width in (2, 3, 4)}


def test_mixup_mixes_each_with_its_neighbour_by_one_ratio():
    images = np.random.default_rng(1).integers(0, 256, (6, 5, 5, 3), np.uint8)
    shares = []
    for step in range(400):
        out, targets = changed(images, tf.constant([5, step]), mixup=0.4)
        share = targets[0, 0]
        swapped = images.reshape(3, 2, 5, 5, 3)[:, ::-1].reshape(images.shape)
        np.testing.assert_allclose(out, share * images + (1 - share) * swapped, atol=1e-3)
        np.testing.assert_allclose(targets[:2, :2], [[share, 1 - share], [1 - share, share]], atol=1e-6)
        assert not targets[:2, 2:].any()
        shares.append(share)
    assert np.mean(shares) == pytest.approx(0.5, abs=0.06)
    assert np.var(shares) == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.02)  # of Beta(0.4, 0.4)


def test_cutmix_exchanges_a_rectangle_and_mixes_the_targets_by_its_area():
    images = np.zeros((4, 12, 12, 1), np.uint8)
    images[1::2] = 1  # each pixel tells from which of the two it is
    areas = []
    for step in range(300):
        out, targets = changed(images, tf.constant([5, step]), cutmix=1.0)
        rows, columns = np.nonzero(out[0, ..., 0])
        if len(rows):
            assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        np.testing.assert_array_equal(out[1], 1 - out[0])
        area = len(rows) / 144
        np.testing.assert_allclose(targets[0, :2], [1 - area, area], atol=1e-6)
        areas.append(area)
    assert 0.15 < np.mean(areas) < 0.5
    assert max(areas) > 0.6


def test_with_both_each_step_takes_one_of_them():
    images = np.zeros((2, 12, 12, 1), np.uint8)
    images[1] = 1
    whole = [len(np.unique(changed(images, tf.constant([5, s]), mixup=1.0, cutmix=1.0)[0][0])) for s in range(60)]
    assert 10 < whole.count(1) < 50  # mixup makes one grey of it, cutmix two values


@pytest.mark.parametrize("name", [*ALL, "all"])
def test_any_number_of_ranks_sees_the_same_global_batch(name):
    values = ALL if name == "all" else {name: ALL[name]}
    images, targets = pictures(), np.eye(12, dtype=np.float32)
    whole = changed(images, **values)
    for ranks in (2, 3):
        each = 12 // ranks
        parts = [
            augment(
                tf.constant(images[first : first + each]),
                tf.constant(targets[first : first + each]),
                Augmentation(**values),
                SEED,
                first,
                12,
            )
            for first in range(0, 12, each)
        ]
        for mine, theirs in zip(whole, zip(*parts, strict=True), strict=True):
            np.testing.assert_array_equal(np.concatenate(theirs), mine)
    others, _ = changed(images, tf.constant([5, 78]), **values)
    assert (others != whole[0]).any()
    again, _ = changed(images, **values)
    np.testing.assert_array_equal(again, whole[0])


def test_signals_are_shifted_in_time_scaled_and_made_noisy():
    signals = np.random.default_rng(1).normal(size=(200, 50, 2)).astype(np.float32)
    shifted, _ = changed(signals, shift=3)
    windows = [np.pad(signals[0], ((3, 3), (0, 0)))[first : first + 50] for first in range(7)]
    assert any(np.array_equal(shifted[0], window) for window in windows)
    scaled, _ = changed(signals, amplitude=0.3)
    factors = (scaled / signals).reshape(200, -1)
    np.testing.assert_allclose(factors, factors[:, :1].repeat(100, axis=1), rtol=1e-3)
    assert 0.7 <= factors.min() < 0.72
    assert 1.28 < factors.max() <= 1.301
    noisy, _ = changed(signals, noise=0.1)
    assert (noisy - signals).std() == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize(
    ("values", "shape", "classes", "told"),
    [
        ({"rotate": 5}, (500, 2), True, r"train.augment.rotate is for images, but the data are signals"),
        ({"noise": 0.1}, (32, 32, 3), True, r"train.augment.noise is for signals, but the data are images"),
        ({"shift": 28}, (28, 28, 1), True, r"shift: 28 would move inputs of 28 x 28 out of sight; the most is 27"),
        ({"saturation": 0.1}, (28, 28, 1), True, r"saturation needs 3 channels, the data have 1"),
        ({"mixup": 0.1}, (28, 28, 1), False, r"train.augment.mixup mixes classes, but the targets are numbers"),
    ],
)
def test_nonsense_is_one_sentence(values, shape, classes, told):
    with pytest.raises(JobFileError, match=told):
        check(Augmentation(**values), shape, classes)


def test_what_fits_is_let_through():
    check(Augmentation(**ALL), (32, 32, 3), True)
    check(Augmentation(shift=5, amplitude=0.1, noise=0.1, mixup=0.2), (500, 2), True)
    check(Augmentation(flip=True, shift=2), (32, 32, 3), False)
