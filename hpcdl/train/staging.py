"""Copying a data set's files to a node's own disk, once for all ranks of the node and all runs on it."""

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from hpcdl.errors import DataError
from hpcdl.train.data.stream import readers

VARIABLES = ("HPCDL_SCRATCH", "SLURM_TMPDIR", "TMPDIR")
"""Where the node's own disk may be named, in the order in which they are asked."""
COPY_BYTES = 1 << 20


def scratch_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder on the node's own disk.

    Raises:
        DataError: no variable names one, or what it names is no folder.
    """
    name = next((name for name in VARIABLES if environment.get(name)), None)
    if name is None:
        raise DataError(
            f"train.data.stage: none of {', '.join(VARIABLES)} names a folder on the node's own disk. Set "
            "HPCDL_SCRATCH to one, or leave stage out."
        )
    folder = Path(environment[name])
    if not folder.is_dir():
        raise DataError(
            f"train.data.stage: {name}={folder} is no folder on this node. Set HPCDL_SCRATCH, or leave stage out."
        )
    return folder


def stage_files(source: Path, scratch: Path) -> Path:
    """Return a copy of a file or a folder below `scratch`; a copy that an earlier run left is taken as it is.

    The copy gets its name when all of it is there, has been read back and has the checksums of what was read from the
    source: a process that is killed leaves no half copy that another could take for a whole one. Names, sizes and times
    of the source are in the copy's name, so that changed data are copied anew.

    Raises:
        DataError: the disk has no room, or a file cannot be copied.
    """
    names = _files(source)
    sizes = {name: (source / name if name else source).stat() for name in names}
    manifest = "\n".join(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}" for name, stat in sizes.items())
    key = hashlib.sha256(f"{source.absolute()}\0{manifest}".encode()).hexdigest()[:16]
    staged = scratch / f"hpcdl-{key}" / source.name
    if _whole(staged, {name: stat.st_size for name, stat in sizes.items()}):
        return staged
    try:
        shutil.rmtree(staged.parent, ignore_errors=True)  # what a clean-up of the disk has left of an old copy
        _remove_abandoned(scratch, key)
        needed, free = sum(stat.st_size for stat in sizes.values()), shutil.disk_usage(scratch).free
        if needed > free:
            raise DataError(f"{scratch}: {needed} bytes are needed for {source}, but {free} are free. Leave stage out.")
        temporary = scratch / f".hpcdl-{key}.{os.getpid()}.tmp"
        for name in names:
            (temporary / source.name / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            list(readers().map(lambda name: _copy(_at(source, name), _at(temporary / source.name, name)), names))
            os.rename(temporary, staged.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as fault:
        if not _whole(staged, {name: stat.st_size for name, stat in sizes.items()}):  # else another run was faster
            raise DataError(
                f"{scratch}: {source} cannot be copied there ({fault.strerror}). Leave stage out."
            ) from None
    return staged


def _files(source: Path) -> list[str]:
    """The files of a folder, as paths below it; for a file the empty name."""
    if source.is_file():
        return [""]
    return sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())


def _at(root: Path, name: str) -> Path:
    return root / name if name else root


def _whole(staged: Path, sizes: Mapping[str, int]) -> bool:
    try:
        return all(_at(staged, name).stat().st_size == size for name, size in sizes.items())
    except OSError:
        return False


def _copy(source: Path, target: Path) -> None:
    digest = hashlib.sha256()
    with open(source, "rb") as original, open(target, "wb") as copy:
        while block := original.read(COPY_BYTES):
            digest.update(block)
            copy.write(block)
        copy.flush()
        os.fsync(copy.fileno())
    again = hashlib.sha256()
    with open(target, "rb") as copied:
        while block := copied.read(COPY_BYTES):
            again.update(block)
    if again.digest() != digest.digest():
        raise DataError(f"{target}: differs from {source} after the copy. The disk of this node is not to be trusted.")


def _remove_abandoned(scratch: Path, key: str) -> None:
    """Remove what processes that are no more have left of a copy."""
    for path in scratch.glob(f".hpcdl-{key}.*.tmp"):
        if not Path(f"/proc/{path.name.split('.')[-2]}").exists():
            shutil.rmtree(path, ignore_errors=True)
