"""Where data sets are on this machine: in $HPCDL_DATA, else in hpcdl's own cache."""

import os
from pathlib import Path

from hpcdl.errors import DataError


def folders(name: str) -> list[Path]:
    """The folders that may hold the data set `name`, in the order in which they are looked at."""
    given = os.environ.get("HPCDL_DATA")
    return [*([Path(given) / name] if given else []), cache_folder(name)]


def cache_folder(name: str) -> Path:
    """The folder into which a data set is fetched when HPCDL_DATA is not set."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hpcdl" / "data" / name


def keras_folder() -> Path:
    """The folder in which Keras keeps what `keras.datasets` has downloaded."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets"


def find_path(path: str) -> Path:
    """Return the file or folder that a job file names: a relative one in $HPCDL_DATA, then in the working folder.

    Raises:
        DataError: it is in neither.
    """
    given = os.environ.get("HPCDL_DATA")
    candidates = [*([Path(given) / path] if given else []), Path(path)]  # an absolute path stays as it is
    for candidate in candidates:
        if candidate.exists():
            return candidate.absolute()
    looked = " and ".join(dict.fromkeys(map(str, candidates)))
    raise DataError(
        f"train.data.path: there is no {path} (looked for {looked}). Correct the path, or set HPCDL_DATA to the "
        "folder that holds it."
    )


def path_is_here(path: str) -> bool:
    """Whether the file or folder that a job file names is there."""
    try:
        find_path(path)
    except DataError:
        return False
    return True
