"""MNIST: finding its four files, fetching them once, reading them, and saying exactly what is wrong with them."""

import gzip
import hashlib
import os
import struct
import zlib
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np

from hpcdl.errors import DataError
from hpcdl.files import write_atomically

FILES = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""The four IDX files and the MD5 of each when unpacked: the published ones."""

MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)
"""Each holds the four files as NAME.gz."""

DOWNLOAD_TIMEOUT_S = 20

REMEDY = (
    "Run `hpcdl fetch mnist` once on a machine with internet (a login node), or set HPCDL_DATA to the folder that "
    "holds mnist/. With neither, `--set train.data=digits` trains on the 1,797 real digits that scikit-learn carries."
)


def load_mnist() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return train images, train labels, test images, test labels.

    Images are uint8 of shape (60000 or 10000, 28, 28, 1), 0..255; labels int64 of shape (60000 or 10000,), 0..9.
    Looked for in `$HPCDL_DATA/mnist`, hpcdl's own cache and Keras's, in this order.

    Raises:
        DataError: the files are in none of them, or one of them is not the published one.
    """
    folder = find_folder()
    if folder is not None:
        images, labels, test_images, test_labels = (read_idx(folder, name) for name in FILES)
        return images[..., None], labels.astype(np.int64), test_images[..., None], test_labels.astype(np.int64)
    if keras_archive().is_file():
        return _read_keras_archive(keras_archive())
    raise DataError(
        f"MNIST is not here: looked for {next(iter(FILES))}[.gz] in {' and '.join(map(str, folders()))}, and for "
        f"{keras_archive()}. {REMEDY}"
    )


def folders() -> list[Path]:
    """The folders that may hold the four files, in the order in which they are looked at."""
    given = os.environ.get("HPCDL_DATA")
    return [*([Path(given) / "mnist"] if given else []), cache_folder()]


def is_here() -> bool:
    """Whether MNIST is somewhere on this machine, whole or not."""
    return find_folder() is not None or keras_archive().is_file()


def find_folder() -> Path | None:
    """Return the first folder that has any of the four files, None when there is none."""
    return next((folder for folder in folders() if any(_path(folder, name) for name in FILES)), None)


def cache_folder() -> Path:
    """The folder into which `fetch_mnist` writes when HPCDL_DATA is not set."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hpcdl" / "data" / "mnist"


def keras_archive() -> Path:
    """The file that `keras.datasets.mnist.load_data` leaves behind."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets" / "mnist.npz"


def fetch_mnist(mirrors: tuple[str, ...] = MIRRORS) -> Path:
    """Download what is missing of MNIST into `$HPCDL_DATA/mnist`, else into hpcdl's cache, and return the folder.

    Each file is checked against its published MD5 before it gets its name. Call it in one process, never in each rank.

    Raises:
        DataError: no mirror has a right copy, or the folder cannot be written; the text says what each answered.
    """
    folder = folders()[0]
    for name, md5 in FILES.items():
        if _path(folder, name):
            read_idx(folder, name)
            continue
        answers = []
        for mirror in mirrors:
            try:
                with urlopen(f"{mirror}{name}.gz", timeout=DOWNLOAD_TIMEOUT_S) as answer:
                    packed = answer.read()
                found = hashlib.md5(gzip.decompress(packed)).hexdigest()
                if found == md5:
                    break
                answers.append(f"{mirror}: the file has MD5 {found}, not {md5}")
            except (OSError, EOFError, zlib.error, ValueError) as fault:
                answers.append(f"{mirror}: {fault.reason if isinstance(fault, URLError) else fault}")
        else:
            raise DataError(
                f"MNIST is not here (looked in {' and '.join(map(str, folders()))}, and for {keras_archive()}), and "
                f"{name}.gz could not be downloaded ({'; '.join(answers)}). {REMEDY}"
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(folder / f"{name}.gz", packed)
        except OSError as fault:
            raise DataError(
                f"{folder}: cannot be written ({fault.strerror}). Set HPCDL_DATA to a folder of yours."
            ) from None
    return folder


def read_idx(folder: Path, name: str) -> np.ndarray:
    """Return the array in MNIST's file `name`, packed or not: uint8, shape (n, 28, 28) for images, (n,) for labels.

    The format: two zero bytes, 8 for unsigned bytes, the number of dimensions, their sizes as big-endian 32-bit
    numbers, then the values (http://yann.lecun.com/exdb/mnist/).

    Raises:
        DataError: the file is missing, unreadable, truncated, swapped with another or altered; with what was expected.
    """
    path = _path(folder, name)
    if path is None:
        raise DataError(f"{folder}: {name}[.gz] is missing beside the others. Fetch it with `hpcdl fetch mnist`.")
    remedy = "Delete it and run `hpcdl fetch mnist`, or copy it anew."
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except OSError as fault:
        raise DataError(f"{path}: cannot be read ({fault.strerror or fault}). {remedy}") from None
    except (EOFError, zlib.error) as fault:
        raise DataError(f"{path}: the gzip file is cut or corrupt ({fault}). {remedy}") from None
    found = hashlib.md5(content).hexdigest()
    if found == FILES[name]:
        return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(_shape(content))
    other = next((known for known, md5 in FILES.items() if md5 == found), None)
    if other:
        raise DataError(f"{path}: holds the contents of {other}; two files are swapped. Give each its own name.")
    what = "is not an IDX file of bytes"
    if len(content) >= 4 and content[:3] == b"\0\0\x08" and len(content) >= 4 + 4 * content[3]:
        shape, expected_images = _shape(content), 60000 if name.startswith("train") else 10000
        expected = (expected_images, 28, 28) if "images" in name else (expected_images,)
        length, right_length = len(content) - 4 - 4 * content[3], int(np.prod(shape))
        if shape != expected:
            what = f"holds an array of shape {shape}, expected {expected}"
        elif length != right_length:
            what = f"holds {length} bytes of values, expected {right_length}: it is cut"
        else:
            what = "has altered values"
    raise DataError(f"{path}: {what} (MD5 {found}, expected {FILES[name]}). {remedy}")


def _shape(content: bytes) -> tuple[int, ...]:
    return struct.unpack_from(f">{content[3]}I", content, 4)


def _path(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _read_keras_archive(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    try:
        with np.load(path) as archive:
            arrays = [archive[key] for key in ("x_train", "y_train", "x_test", "y_test")]
    except (OSError, ValueError, KeyError, EOFError, zlib.error) as fault:
        raise DataError(f"{path}: cannot be read ({fault}). Delete it and run `hpcdl fetch mnist`.") from None
    for (name, md5), array in zip(FILES.items(), arrays, strict=True):
        header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        if array.dtype != np.uint8 or hashlib.md5(header + array.tobytes()).hexdigest() != md5:
            raise DataError(
                f"{path}: its {name} differs from the published one. Delete it and run `hpcdl fetch mnist`."
            )
    images, labels, test_images, test_labels = arrays
    return images[..., None], labels.astype(np.int64), test_images[..., None], test_labels.astype(np.int64)
