"""Writing files so that a reader never sees half of one, and one process at a time."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path | str, content: str | bytes) -> None:
    """Write `content` to `path` through a temporary file in the same folder, synced and then renamed.

    A reader, or a crash at any moment, finds the old file or the new one, never a part of either. The mode bits of an
    old file stay.

    Raises:
        OSError: the folder is not there, is not writable or is full; `path` is then as it was.
    """
    with atomic_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def atomic_file(path: Path | str) -> Iterator[BinaryIO]:
    """Open a file that gets the name `path` when the context ends well; else `write_atomically`.

    Raises:
        OSError: as `write_atomically`.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep others from what the lock file `path` stands for; its folder is made where it is not there.

    A file system without locks keeps nobody away: then the user alone takes care.

    Raises:
        BlockingIOError: another process has it.
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            pass
        yield
