"""CIFAR-10 as python batches, binary batches or class folders, in a folder or in a .tar.gz."""

import hashlib
import io
import pickle
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hpcdl.errors import DataError
from hpcdl.files import write_atomically
from hpcdl.train.data import places
from hpcdl.train.data.dataset import Dataset
from hpcdl.train.data.download import download
from hpcdl.train.data.images import decode
from hpcdl.train.data.stream import readers

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
ARCHIVE = "cifar-10-python.tar.gz"
ADDRESSES = ("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",)
ARCHIVE_MD5 = {
    ARCHIVE: "c58f30108f718f92721af3b95e74349a",
    "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
}
"""Published at https://www.cs.toronto.edu/~kriz/cifar.html."""
BATCH_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
"""Of the python batches, as torchvision checks them, in the order of the images."""
BINARY_BATCHES = tuple(f"{name}.bin" for name in BATCH_MD5)
BATCH_IMAGES = 10_000
IMAGE_PATH = re.compile(r"(?:.*/)?(train|test)/([^/.]+)/([^/]+\.(?:jpe?g|png))", re.IGNORECASE)

Part = tuple[np.ndarray, np.ndarray]
"""Images, uint8 (n, 32, 32, 3), and labels, int64 (n,)."""


def load_cifar10() -> Dataset:
    """Return CIFAR-10 from `$HPCDL_DATA/cifar10`, else from hpcdl's cache: 50,000 + 10,000 images of 32x32 in colour.

    Raises:
        DataError: it is in neither, or what is there is not whole.
    """
    place = find()
    if place is None:
        looked = " and ".join(map(str, places.folders("cifar10")))
        raise DataError(
            f"CIFAR-10 is not here: looked in {looked} for {ARCHIVE}, cifar-10-binary.tar.gz, their folders and "
            "train/CLASS/*.jpg. Run `hpcdl fetch cifar10` once on a machine with internet, or set HPCDL_DATA."
        )
    _check_archive(place)
    train, test = _read(place)
    return Dataset("cifar10", train[0], train[1], test[0], test[1], len(CLASSES), CLASSES).check()


def is_here() -> bool:
    """Whether CIFAR-10 is on this machine, whole or not."""
    return find() is not None


def find() -> Path | None:
    """Return the folder or archive to read, None when there is none; the originals come before re-encoded images."""
    for folder in places.folders("cifar10"):
        known = ["cifar-10-batches-py", "cifar-10-batches-bin", *ARCHIVE_MD5]
        candidates = [*(folder / name for name in known), *sorted(folder.glob("*.tar.gz"))]
        if (folder / "train").is_dir() or (folder / "data_batch_1").exists() or (folder / "data_batch_1.bin").exists():
            candidates.insert(0, folder)
        for candidate in candidates:
            if candidate.exists():
                return candidate
    return None


def fetch_cifar10(addresses: tuple[str, ...] = ADDRESSES) -> None:
    """Download the python archive into `$HPCDL_DATA/cifar10`, else into hpcdl's cache, if nothing is there.

    Raises:
        DataError: no address has the published archive, or the folder cannot be written.
    """
    if is_here():
        return
    folder = places.folders("cifar10")[0]
    content, answers = download(addresses, lambda content: _md5_fault(content, ARCHIVE_MD5[ARCHIVE]))
    if content is None:
        raise DataError(f"{ARCHIVE} could not be downloaded ({answers}). Copy it into {folder} from another machine.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / ARCHIVE, content)
    except OSError as fault:
        raise DataError(
            f"{folder}: cannot be written ({fault.strerror}). Set HPCDL_DATA to a folder of yours."
        ) from None


def _check_archive(place: Path) -> None:
    if place.name in ARCHIVE_MD5 and place.is_file():
        try:
            wrong = _md5_fault(place.read_bytes(), ARCHIVE_MD5[place.name])
        except OSError as fault:
            raise DataError(f"{place}: cannot be read ({fault.strerror}).") from None
        if wrong:
            raise DataError(f"{place}: {wrong}: it is cut or altered. Delete it and run `hpcdl fetch cifar10`.")


def _md5_fault(content: bytes, expected: str) -> str | None:
    found = hashlib.md5(content).hexdigest()
    return None if found == expected else f"the file has MD5 {found}, not {expected}"


def _read(place: Path) -> tuple[Part, Part]:
    """Return the training and the test part of a folder or an archive, whatever form it has."""
    batches: dict[str, Part] = {}
    images: dict[tuple[str, str, str], bytes] = {}
    try:
        for path, content in _members(place):
            name = path.rpartition("/")[2]
            match = IMAGE_PATH.fullmatch(path)
            if name in BATCH_MD5:
                batches[name] = _python_batch(f"{place}/{path}", name, content)
            elif name in BINARY_BATCHES:
                batches[name.removesuffix(".bin")] = _binary_batch(f"{place}/{path}", content)
            elif match and match[2] in CLASSES:
                images[match[1].lower(), match[2], match[3]] = content
    except (OSError, tarfile.TarError, EOFError, zlib.error) as fault:
        raise DataError(f"{place}: cannot be read, it is cut or corrupt ({fault}). Copy it anew.") from None
    if images:
        return _decode(place, images, "train"), _decode(place, images, "test")
    missing = [name for name in BATCH_MD5 if name not in batches]
    if missing:
        raise DataError(f"{place}: has no {missing[0]}. It must hold {', '.join(BATCH_MD5)}. Copy CIFAR-10 anew.")
    *train, test = (batches[name] for name in BATCH_MD5)
    return (np.concatenate([part[0] for part in train]), np.concatenate([part[1] for part in train])), test


def _members(place: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the path and the content of every file in a folder or in a tar archive; nothing is unpacked on disk."""
    if place.is_dir():
        for file in sorted(place.rglob("*")):
            if file.is_file() and file.suffixes[-2:] != [".tar", ".gz"]:
                yield file.relative_to(place).as_posix(), file.read_bytes()
        return
    with tarfile.open(place, "r|*") as archive:
        for member in archive:
            file_in_tar = archive.extractfile(member) if member.isfile() else None
            if file_in_tar:
                yield member.name, file_in_tar.read()


def _decode(place: Path, images: dict[tuple[str, str, str], bytes], part: str) -> Part:
    keys = sorted((key for key in images if key[0] == part), key=lambda key: (CLASSES.index(key[1]), key[2]))
    decoded = list(readers().map(lambda key: decode(images[key], f"{place}/{'/'.join(key)}", None), keys))
    odd = next((key for key, image in zip(keys, decoded, strict=True) if image.shape != (32, 32, 3)), None)
    if odd or not keys:
        what = f"{'/'.join(odd)} is not of 32x32 pixels" if odd else f"has no images in {part}/CLASS/"
        raise DataError(f"{place}: {what}. Copy CIFAR-10 anew, or use `data: {{name: folders, ...}}`.")
    order = np.random.default_rng(0).permutation(len(keys))  # a validation_split takes the end: it has all classes
    labels = np.array([CLASSES.index(key[1]) for key in keys], np.int64)
    return np.stack([decoded[place] for place in order]), labels[order]


class _PlainUnpickler(pickle.Unpickler):
    """Reads what CIFAR-10's batches hold, a dictionary with a NumPy array, and nothing that runs code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in (("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")):
            return np.zeros(0).__reduce__()[0]  # the function of that name, wherever this NumPy has it
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _python_batch(where: str, name: str, content: bytes) -> Part:
    wrong = _md5_fault(content, BATCH_MD5[name])
    if wrong:
        raise DataError(f"{where}: {wrong}: it is cut or altered. Copy CIFAR-10 anew.")
    try:
        batch = _PlainUnpickler(io.BytesIO(content), encoding="bytes").load()
        values, labels = np.asarray(batch[b"data"], np.uint8), np.asarray(batch[b"labels"], np.int64)
    except (pickle.UnpicklingError, KeyError, TypeError, ValueError, EOFError) as fault:
        raise DataError(f"{where}: is no batch of CIFAR-10 ({fault}). Copy CIFAR-10 anew.") from None
    return np.ascontiguousarray(values.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), labels


def _binary_batch(where: str, content: bytes) -> Part:
    row = 1 + 3 * 32 * 32  # a label, then the red, green and blue planes
    if len(content) != BATCH_IMAGES * row:
        raise DataError(f"{where}: holds {len(content)} bytes, expected {BATCH_IMAGES * row}: it is cut. Copy it anew.")
    rows = np.frombuffer(content, np.uint8).reshape(-1, row)
    images = rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), rows[:, 0].astype(np.int64)
