"""Images in one folder for each class, the layout of ImageNet: `train/CLASS/*.jpg` and `test/CLASS/*.jpg` or `val/`."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpcdl.errors import DataError
from hpcdl.train.data.dataset import Dataset
from hpcdl.train.data.images import SUFFIXES, decode
from hpcdl.train.data.places import find_path
from hpcdl.train.data.stream import Stream

TEST_FOLDERS = ("test", "val", "validation")
"""Where the test images may be; the first of these that is there counts."""


@dataclass(frozen=True)
class Listing:
    """The images of one part of a data set.

    Their order is a fixed mixture of the classes: a validation_split, which takes the end, has its share of each.
    """

    root: Path
    names: tuple[str, ...]
    """Paths below `root`, CLASS/NAME."""
    labels: np.ndarray
    """int64, shape (len(names),)."""


def load_folders(
    path: str, image_size: int, resize: int | None = None, channels: int = 3, in_memory: bool = False
) -> Dataset:
    """Return class folders as a data set that decodes its images when they are asked for.

    Raises:
        DataError: the folder is absent, or not of this layout.
    """
    train, test, classes = list_folders(find_path(path))
    parts = [_stream(part, image_size, resize, channels) for part in (train, test)]
    inputs = [np.asarray(part) if in_memory else part for part in parts]
    return Dataset("folders", inputs[0], train.labels, inputs[1], test.labels, len(classes), classes).check()


def list_folders(root: Path) -> tuple[Listing, Listing, tuple[str, ...]]:
    """Return the training and the test images below `root` and the names of the classes, sorted.

    Raises:
        DataError: the layout is another, a class has no images, or a test class is unknown to training.
    """
    layout = f"The layout is {root}/train/CLASS/*.jpg and {root}/test/CLASS/*.jpg (or val/)."
    test_folder = next((root / name for name in TEST_FOLDERS if (root / name).is_dir()), None)
    if not (root / "train").is_dir() or test_folder is None:
        missing = "train" if test_folder else "test or val"
        raise DataError(f"{root}: holds no folder {missing}. {layout}")
    classes = _subfolders(root / "train")
    if len(classes) < 2:
        raise DataError(
            f"{root / 'train'}: holds {len(classes)} folders of classes; there must be two or more. {layout}"
        )
    unknown = sorted(set(_subfolders(test_folder)) - set(classes))
    if unknown:
        raise DataError(
            f"{test_folder / unknown[0]}: is a class without a folder in {root / 'train'}. Rename it or add one."
        )
    return _list(root / "train", classes), _list(test_folder, classes), classes


@dataclass(frozen=True)
class _Reader:
    """Reads and decodes one image; other ranks of the node get it by pickle."""

    listing: Listing
    image_size: int
    resize: int | None
    channels: int

    def __call__(self, row: int) -> np.ndarray:
        path = self.listing.root / self.listing.names[row]
        try:
            content = path.read_bytes()
        except OSError as fault:
            raise DataError(
                f"{path}: cannot be read ({fault.strerror}). Put it back, or take it out of the data."
            ) from None
        return decode(content, str(path), self.image_size, self.resize, self.channels)


def _stream(listing: Listing, image_size: int, resize: int | None, channels: int) -> Stream:
    if resize is not None and resize < image_size:
        raise DataError(
            f"train.data.resize: {resize} pixels are fewer than the image_size {image_size} that is cut out of them. "
            "Use a larger one, or leave it out."
        )
    digest = hashlib.sha256("\0".join([*listing.names, f"{image_size} {resize} {channels}"]).encode()).hexdigest()
    reader = _Reader(listing, image_size, resize, channels)
    return Stream(reader, range(len(listing.names)), (image_size, image_size, channels), np.uint8, digest)


def _subfolders(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != "."))


def _list(root: Path, classes: tuple[str, ...]) -> Listing:
    names: list[str] = []
    labels: list[int] = []
    for label, folder in enumerate(classes):
        if not (root / folder).is_dir():
            continue  # a class may be absent from the test images
        found = sorted(entry.name for entry in (root / folder).iterdir() if entry.suffix.lower() in SUFFIXES)
        if not found:
            raise DataError(
                f"{root / folder}: holds no image ({', '.join(sorted(SUFFIXES))}). Take it away or fill it."
            )
        names += [f"{folder}/{name}" for name in found]
        labels += [label] * len(found)
    order = np.random.default_rng(0).permutation(len(names))
    return Listing(root, tuple(names[row] for row in order), np.array(labels, np.int64)[order])
