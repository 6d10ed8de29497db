"""Files with weights of trained networks: finding what a job file names, and downloading one on a login node."""

import hashlib
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hpcdl.errors import DataError
from hpcdl.files import write_atomically
from hpcdl.train.data import places
from hpcdl.train.data.download import download

FOLDER = "weights"
"""In $HPCDL_DATA, or in hpcdl's cache."""
DIGESTS = {32: "md5", 64: "sha256"}
"""The kind of a checksum, by its hexadecimal digits. Keras publishes MD5 of some weights of keras.applications."""
FINISHED = "model.keras"
"""What a run's folder has from its end on."""


def find_weights(named: str) -> Path:
    """Return the file or folder that `train.transfer.weights` names.

    A relative path is looked for in $HPCDL_DATA/weights, $HPCDL_DATA, the working folder and hpcdl's cache. A pattern
    (`runs/NAME-*`) stands for the newest of the runs' folders that have finished, or of the files.

    Raises:
        DataError: nothing of that name is there.
    """
    given = os.environ.get("HPCDL_DATA")
    bases = [*([Path(given) / FOLDER, Path(given)] if given else []), Path(), places.cache_folder("").parent / FOLDER]
    for base in bases:
        if "*" in named:
            root, pattern = (Path("/"), named.lstrip("/")) if named.startswith("/") else (base, named)
            matches = [path for path in root.glob(pattern) if path.is_file() or (path / FINISHED).is_file()]
            if matches:
                return max(matches, key=lambda path: (_time(path), path.name)).absolute()
        elif (base / named).exists():  # an absolute path stays as it is
            return (base / named).absolute()
    looked = ", ".join(dict.fromkeys(str(base.absolute()) for base in bases))
    what = "no finished run or file" if "*" in named else "no such file or folder"
    raise DataError(
        f"train.transfer.weights: {named}: {what} (looked in {looked}). Train it first, correct the path, or get it "
        "with `hpcdl fetch ADDRESS --checksum ...` on a machine with internet."
    )


def fetch_weights(address: str, checksum: str) -> Path:
    """Download a file of weights into `$HPCDL_DATA/weights`, else into hpcdl's cache, and return its path.

    Args:
        address: https://..., the last part of which is the file's name.
        checksum: MD5 (32 hexadecimal digits) or SHA-256 (64), as the publisher states it.
    Raises:
        DataError: it cannot be downloaded, is not the right one, or cannot be written.
    """
    kind, name = DIGESTS.get(len(checksum)), unquote(Path(urlsplit(address).path).name)
    if kind is None or set(checksum.lower()) - set("0123456789abcdef"):
        raise DataError(f"--checksum {checksum}: give the 32 hexadecimal digits of an MD5 or the 64 of a SHA-256.")
    if not name or name in (".", "..") or "/" in name:
        raise DataError(f"{address}: ends in no file's name. Give the address of the file itself.")

    def fault(content: bytes) -> str | None:
        found = hashlib.new(kind, content).hexdigest()
        return None if found == checksum.lower() else f"the file has {kind.upper()} {found}, not {checksum}"

    given = os.environ.get("HPCDL_DATA")
    folder = Path(given) / FOLDER if given else places.cache_folder("").parent / FOLDER
    path = folder / name
    try:
        if path.is_file() and fault(path.read_bytes()) is None:
            return path
        content, answers = download([address], fault)
        if content is None:
            raise DataError(f"{name} could not be downloaded ({answers}). Copy it into {folder} from another machine.")
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as problem:
        raise DataError(
            f"{path}: cannot be written ({problem.strerror}). Set HPCDL_DATA to a folder of yours."
        ) from None
    return path


def _time(path: Path) -> float:
    return (path / FINISHED if path.is_dir() else path).stat().st_mtime
