"""MNIST and Fashion-MNIST, of four IDX files each: finding, fetching and reading them, and saying what is wrong."""

import gzip
import hashlib
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpcdl.errors import DataError
from hpcdl.files import write_atomically
from hpcdl.train.data import places
from hpcdl.train.data.dataset import Dataset
from hpcdl.train.data.download import download

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
"""The four files of a data set; packed they have .gz behind."""
KERAS_KEYS = ("x_train", "y_train", "x_test", "y_test")
REMEDY = "Delete it and run `hpcdl fetch {}`, or copy it anew."


@dataclass(frozen=True)
class IdxSet:
    """60,000 training and 10,000 test images, grey, 28x28 pixels, of ten classes."""

    name: str
    title: str
    checksums: dict[str, str]
    """The published MD5 of each file, by its name: with .gz where that of the packed file is published."""
    mirrors: tuple[str, ...]
    """Each holds the four files as NAME.gz."""
    class_names: tuple[str, ...]
    keras_archive: str | None = None
    """The file that Keras's own loader leaves behind, by its name."""
    advice: str = ""

    def load(self) -> Dataset:
        """Return the data set, looked for in `$HPCDL_DATA/NAME`, hpcdl's own cache and Keras's, in this order.

        Raises:
            DataError: the files are in none of them, or one of them is not the published one.
        """
        folder = self.find_folder()
        if folder is not None:
            images, labels, test_images, test_labels = (self.read(folder, file) for file in FILES)
        elif (archive := self._keras_path()) and archive.is_file():
            images, labels, test_images, test_labels = self._read_keras_archive(archive)
        else:
            raise DataError(f"{self._absent()} {self._remedy}")
        return Dataset(
            self.name,
            images[..., None],
            labels.astype(np.int64),
            test_images[..., None],
            test_labels.astype(np.int64),
            len(self.class_names),
            self.class_names,
        )

    def is_here(self) -> bool:
        """Whether the data set is somewhere on this machine, whole or not."""
        archive = self._keras_path()
        return self.find_folder() is not None or bool(archive and archive.is_file())

    def find_folder(self) -> Path | None:
        """Return the first folder that has any of the four files, None when there is none."""
        return next((folder for folder in places.folders(self.name) if any(_path(folder, f) for f in FILES)), None)

    def fetch(self, mirrors: tuple[str, ...] | None = None) -> Path:
        """Download what is missing into `$HPCDL_DATA/NAME`, else into hpcdl's cache, and return the folder.

        Each file is checked against its published MD5 before it gets its name. Call it in one process, never in each
        rank.

        Raises:
            DataError: no mirror has a right copy, or the folder cannot be written; the text says what each answered.
        """
        folder = places.folders(self.name)[0]
        for file in FILES:
            if _path(folder, file):
                self.read(folder, file)
                continue
            packed, answers = self._download(file, self.mirrors if mirrors is None else mirrors)
            if packed is None:
                raise DataError(f"{self._absent()} {file}.gz could not be downloaded ({answers}). {self._remedy}")
            try:
                folder.mkdir(parents=True, exist_ok=True)
                write_atomically(folder / f"{file}.gz", packed)
            except OSError as fault:
                raise DataError(
                    f"{folder}: cannot be written ({fault.strerror}). Set HPCDL_DATA to a folder of yours."
                ) from None
        return folder

    def _download(self, file: str, mirrors: tuple[str, ...]) -> tuple[bytes | None, str]:
        def fault(packed: bytes) -> str | None:
            expected, found = self._checksum(file, packed, gzip.decompress(packed))
            return None if found == expected else f"the file has MD5 {found}, not {expected}"

        return download([f"{mirror}{file}.gz" for mirror in mirrors], fault)

    def _checksum(self, file: str, packed: bytes | None, content: bytes) -> tuple[str | None, str | None]:
        """Return the published MD5 and that of the file, both None where none is published for this form."""
        if file in self.checksums:
            return self.checksums[file], hashlib.md5(content).hexdigest()
        if packed is None:
            return None, None
        return self.checksums[f"{file}.gz"], hashlib.md5(packed).hexdigest()

    def read(self, folder: Path, file: str) -> np.ndarray:
        """Return the array in one file, packed or not: uint8, shape (n, 28, 28) for images, (n,) for labels.

        The format: two zero bytes, 8 for unsigned bytes, the number of dimensions, their sizes as big-endian 32-bit
        numbers, then the values (http://yann.lecun.com/exdb/mnist/).

        Raises:
            DataError: the file is missing, unreadable, truncated, swapped with another or altered; with what was
                expected.
        """
        path = _path(folder, file)
        if path is None:
            raise DataError(
                f"{folder}: {file}[.gz] is missing beside the others. Fetch it with `hpcdl fetch {self.name}`."
            )
        remedy, packed = REMEDY.format(self.name), None
        try:
            content = path.read_bytes()
            if content[:2] == b"\x1f\x8b":
                packed, content = content, gzip.decompress(content)
        except OSError as fault:
            raise DataError(f"{path}: cannot be read ({fault.strerror or fault}). {remedy}") from None
        except (EOFError, zlib.error) as fault:
            raise DataError(f"{path}: the gzip file is cut or corrupt ({fault}). {remedy}") from None
        expected, found = self._checksum(file, packed, content)
        what = _fault(file, content)
        if found == expected and what is None:
            return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(_shape(content))
        other = next((known for known, md5 in self.checksums.items() if md5 == found), None)
        if found and other:
            raise DataError(f"{path}: holds the contents of {other}; two files are swapped. Give each its own name.")
        sums = f" (MD5 {found}, expected {expected})" if found else ""
        raise DataError(f"{path}: {what or 'has altered values'}{sums}. {remedy}")

    def _keras_path(self) -> Path | None:
        return places.keras_folder() / self.keras_archive if self.keras_archive else None

    def _read_keras_archive(self, path: Path) -> list[np.ndarray]:
        try:
            with np.load(path) as archive:
                arrays = [archive[key] for key in KERAS_KEYS]
        except (OSError, ValueError, KeyError, EOFError, zlib.error) as fault:
            raise DataError(f"{path}: cannot be read ({fault}). Delete it and run `hpcdl fetch {self.name}`.") from None
        for file, array in zip(FILES, arrays, strict=True):
            header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            if array.dtype != np.uint8 or hashlib.md5(header + array.tobytes()).hexdigest() != self.checksums[file]:
                raise DataError(
                    f"{path}: its {file} differs from the published one. Delete it and run `hpcdl fetch {self.name}`."
                )
        return arrays

    def _absent(self) -> str:
        looked = " and ".join(map(str, places.folders(self.name)))
        archive = f", and for {self._keras_path()}" if self.keras_archive else ""
        return f"{self.title} is not here: looked for {FILES[0]}[.gz] in {looked}{archive}."

    @property
    def _remedy(self) -> str:
        return (
            f"Run `hpcdl fetch {self.name}` once on a machine with internet (a login node), or set HPCDL_DATA to the "
            f"folder that holds {self.name}/.{self.advice}"
        )


MNIST = IdxSet(
    name="mnist",
    title="MNIST",
    checksums={
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    mirrors=(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    class_names=tuple("0123456789"),
    keras_archive="mnist.npz",
    advice=" With neither, `--set train.data=digits` trains on the 1,797 real digits that scikit-learn carries.",
)

FASHION_MNIST = IdxSet(
    name="fashion_mnist",
    title="Fashion-MNIST",
    # Those of the packed files, https://github.com/zalandoresearch/fashion-mnist; unpacked ones have none.
    checksums={
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    },
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ),
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
)


def _fault(file: str, content: bytes) -> str | None:
    """Say what is wrong with the form of an unpacked file, None when nothing is."""
    if len(content) < 4 or content[:3] != b"\0\0\x08" or len(content) < 4 + 4 * content[3]:
        return "is not an IDX file of bytes"
    shape, num_images = _shape(content), 60000 if file.startswith("train") else 10000
    expected = (num_images, 28, 28) if "images" in file else (num_images,)
    length, right_length = len(content) - 4 - 4 * content[3], int(np.prod(shape))
    if shape != expected:
        return f"holds an array of shape {shape}, expected {expected}"
    if length != right_length:
        return f"holds {length} bytes of values, expected {right_length}: it is cut"
    if "labels" in file and max(content[8:]) > 9:
        return f"holds the label {max(content[8:])}, expected 0..9"
    return None


def _shape(content: bytes) -> tuple[int, ...]:
    return struct.unpack_from(f">{content[3]}I", content, 4)


def _path(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)
