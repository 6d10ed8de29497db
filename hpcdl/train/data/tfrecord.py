"""Images in TFRecord shards: few large files instead of a million small ones, which parallel file systems want.

A folder holds `train-00000-of-00016.tfrecord`, `test-...` and `index.npz`, which says where each record lies, so that
any image can be read at any time: the order of training needs no buffer and is exact. `hpcdl data convert` makes such
a folder of class folders, `hpcdl data index` writes the index of shards that another program has made.
"""

import hashlib
import os
import re
import resource
import threading
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np

from hpcdl.errors import DataError
from hpcdl.files import atomic_file
from hpcdl.train.data.dataset import Dataset
from hpcdl.train.data.example import check_record, decode_example, scan_records
from hpcdl.train.data.images import decode
from hpcdl.train.data.places import find_path
from hpcdl.train.data.stream import Stream

INDEX_FILE = "index.npz"
IMAGE, LABEL, NAME, CLASS = "image/encoded", "image/class/label", "image/filename", "image/class/text"
"""Features of a record, named as in TensorFlow's own ImageNet shards; the last two may be absent."""
SHARD = re.compile(r"(train|test|val|validation)-(\d+)-of-(\d+)(?:\.tfrecord)?")
SPLITS = ("train", "test")


class Shard(NamedTuple):
    """One shard as its index knows it."""

    name: str
    bytes: int
    sha256: str
    offsets: np.ndarray
    """int64: where the data of each record begin."""
    lengths: np.ndarray
    """int64: bytes of each record's data."""
    labels: np.ndarray
    """int64, as they stand in the records."""
    names: list[str]
    """What the records call their images; empty texts where they do not."""
    classes: dict[int, str]
    """The names of classes that the records give."""


@dataclass(frozen=True)
class Index:
    """What `index.npz` holds: all arrays by name."""

    arrays: dict[str, np.ndarray]

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(map(str, self.arrays["classes"]))

    @property
    def shards(self) -> list[tuple[str, int, str]]:
        """Name, bytes and SHA-256 of each shard."""
        names, sizes, sums = (self.arrays[key] for key in ("shards", "bytes", "sha256"))
        return [(str(name), int(size), str(sha256)) for name, size, sha256 in zip(names, sizes, sums, strict=True)]


def load_tfrecord(
    path: str, image_size: int, resize: int | None = None, channels: int = 3, in_memory: bool = False
) -> Dataset:
    """Return shards as a data set that decodes its images when they are asked for.

    Raises:
        DataError: the folder or its index is absent, or a shard is missing or not of the right size.
    """
    folder = find_path(path)
    index = read_index(folder)
    inputs: list[Any] = []
    for split in SPLITS:
        reader = _Reader(folder, index, split, image_size, resize, channels)
        digest = hashlib.sha256(repr((index.shards, split, image_size, resize, channels)).encode()).hexdigest()
        rows = range(len(index.arrays[f"{split}_label"]))
        stream = Stream(reader, rows, (image_size, image_size, channels), np.uint8, digest)
        inputs.append(np.asarray(stream) if in_memory else stream)
    train, test = (index.arrays[f"{split}_label"] for split in SPLITS)
    return Dataset("tfrecord", inputs[0], train, inputs[1], test, len(index.classes), index.classes).check()


@dataclass(frozen=True)
class _Reader:
    """Reads and decodes one image of a split; other ranks of the node get it by pickle."""

    folder: Path
    index: Index
    split: str
    image_size: int
    resize: int | None
    channels: int
    _files: "_Files" = field(default_factory=lambda: _Files())

    def __call__(self, row: int) -> np.ndarray:
        arrays = self.index.arrays
        shard, offset, length = (int(arrays[f"{self.split}_{key}"][row]) for key in ("shard", "offset", "length"))
        path = self.folder / str(arrays["shards"][shard])
        try:
            data = os.pread(self._files.descriptor(path), length + 4, offset)
            check_record(data, length, offset)
            content = decode_example(data[:length])[IMAGE][0]
        except (OSError, ValueError, LookupError) as fault:
            raise DataError(f"{path}: {fault}. Copy or convert it anew.") from None
        assert isinstance(content, bytes)
        return decode(content, f"{path}, record at byte {offset}", self.image_size, self.resize, self.channels)


class _Files:
    """Open files for reading by many threads; each is opened when it is first needed, in each process anew."""

    def __init__(self) -> None:
        self._descriptors: dict[Path, int] = {}
        self._lock = threading.Lock()

    def descriptor(self, path: Path) -> int:
        if path not in self._descriptors:
            with self._lock:
                if path not in self._descriptors:
                    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
                    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # ImageNet has more shards than 1024
                    self._descriptors[path] = os.open(path, os.O_RDONLY)
        return self._descriptors[path]

    def __reduce__(self) -> Any:
        return _Files, ()

    def __del__(self) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)


def read_index(folder: Path) -> Index:
    """Return the index of a folder of shards, all of which are there in the right size.

    Raises:
        DataError: the index is absent or torn, or a shard is.
    """
    path = folder / INDEX_FILE
    if not path.exists():
        raise DataError(f"{folder}: has no {INDEX_FILE}. Write it once by `hpcdl data index {folder}`.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            index = Index(dict(archive))
        shards = index.shards
        for split in SPLITS:
            for key in ("shard", "offset", "length", "label"):
                _ = index.arrays[f"{split}_{key}"]
    except (OSError, ValueError, EOFError, KeyError, AttributeError, BadZipFile, zlib.error) as fault:
        raise DataError(f"{path}: is no whole index ({fault}). Write it anew by `hpcdl data index {folder}`.") from None
    for name, size, _ in shards:
        try:
            found = (folder / name).stat().st_size
        except OSError as fault:
            raise DataError(f"{folder / name}: cannot be read ({fault.strerror}). Copy or convert it anew.") from None
        if found != size:
            raise DataError(
                f"{folder / name}: holds {found} bytes, expected {size}: it is cut. Copy or convert it anew."
            )
    return index


def check_shards(folder: Path, workers: int) -> None:
    """Read all shards and compare them with the checksums in the index.

    Raises:
        DataError: names the first shard that was altered.
    """
    with ThreadPoolExecutor(workers) as pool:
        shards = read_index(folder).shards
        for (name, _, expected), found in zip(
            shards, pool.map(lambda s: file_sha256(folder / s[0]), shards), strict=True
        ):
            if found != expected:
                raise DataError(f"{folder / name}: has SHA-256 {found}, expected {expected}. Copy or convert it anew.")


def scan_shard(path: Path) -> Shard:
    """Read a whole shard and return what its index needs; all checksums in it are checked.

    Raises:
        DataError: it cannot be read, is cut or altered, or a record is no image with a label.
    """
    offsets, lengths, labels, names, classes = [], [], [], [], {}
    try:
        with open(path, "rb") as file:
            for offset, data in scan_records(file):
                features = decode_example(data)
                if not features.get(IMAGE) or not features.get(LABEL):
                    raise ValueError(f"the record at byte {offset} has no {IMAGE} or no {LABEL}")
                label = int(features[LABEL][0])
                offsets.append(offset)
                lengths.append(len(data))
                labels.append(label)
                names.append(_text(features.get(NAME)))
                if label not in classes and features.get(CLASS):
                    classes[label] = _text(features[CLASS])
    except OSError as fault:
        raise DataError(f"{path}: cannot be read ({fault.strerror}).") from None
    except ValueError as fault:
        raise DataError(f"{path}: {fault}. Copy or convert it anew.") from None
    return Shard(
        path.name,
        path.stat().st_size,
        file_sha256(path),
        np.array(offsets, np.int64),
        np.array(lengths, np.int64),
        np.array(labels, np.int64),
        names,
        classes,
    )


def write_index(folder: Path, shards: Iterable[Shard], classes: tuple[str, ...] | None = None) -> Index:
    """Write `index.npz` for the shards of a folder, and return it.

    Args:
        shards: of both splits, in the order in which their images are to be counted.
        classes: their names; else those in the records. Labels that begin with 1, as in TensorFlow's ImageNet
            shards, then become those that begin with 0.

    Raises:
        DataError: a split has no shards.
        OSError: the index cannot be written.
    """
    shards = list(shards)
    arrays: dict[str, Any] = {
        "shards": np.array([shard.name for shard in shards]),
        "bytes": np.array([shard.bytes for shard in shards], np.int64),
        "sha256": np.array([shard.sha256 for shard in shards]),
    }
    first = 0 if classes else min((int(shard.labels.min()) for shard in shards if len(shard.labels)), default=0)
    last = max((int(shard.labels.max()) for shard in shards if len(shard.labels)), default=0)
    named = {label: name for shard in shards for label, name in shard.classes.items()}
    arrays["classes"] = np.array(classes or [named.get(label, str(label)) for label in range(first, last + 1)])
    for split in SPLITS:
        mine = [(number, shard) for number, shard in enumerate(shards) if split_of(shard.name) == split]
        if not mine:
            raise DataError(f"{folder}: holds no shard {split}-00000-of-00001.tfrecord. A data set has train and test.")
        arrays[f"{split}_shard"] = np.concatenate([np.full(len(shard.labels), number) for number, shard in mine])
        arrays[f"{split}_offset"] = np.concatenate([shard.offsets for _, shard in mine])
        arrays[f"{split}_length"] = np.concatenate([shard.lengths for _, shard in mine])
        arrays[f"{split}_label"] = np.concatenate([shard.labels for _, shard in mine]) - first
    with atomic_file(folder / INDEX_FILE) as file:
        np.savez(file, **arrays)
    return Index(arrays)


def index_folder(folder: Path, workers: int, progress: Callable[[str], None] = lambda name: None) -> Index:
    """Read all shards of a folder and write their index.

    Raises:
        DataError: there are no shards, one is missing by its number, or one is not whole.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: is no folder. Give the folder of the shards.")
    paths = sorted(path for path in folder.iterdir() if SHARD.fullmatch(path.name))
    if not paths:
        raise DataError(f"{folder}: holds no shard named as train-00000-of-00016 or test-00000-of-00004.tfrecord.")
    counts: dict[tuple[str, int], int] = {}
    for path in paths:
        match = SHARD.fullmatch(path.name)
        assert match
        counts[match[1], int(match[3])] = counts.get((match[1], int(match[3])), 0) + 1
    for (split, total), found in counts.items():
        if found != total:
            raise DataError(f"{folder}: holds {found} of {total} shards of {split}. Copy the missing ones.")
    shards = []
    with ThreadPoolExecutor(workers) as pool:
        for shard in pool.map(scan_shard, paths):
            shards.append(shard)
            progress(shard.name)
    return write_index(folder, shards)


def split_of(name: str) -> str:
    """Return train or test for the name of a shard."""
    return "train" if name.startswith("train") else "test"


def _text(values: Any) -> str:
    return values[0].decode("utf-8", "replace") if values and isinstance(values[0], bytes) else ""


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits; files of any size."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
