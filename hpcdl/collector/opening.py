"""Opening a log: plain or compressed, a file or standard input; what is no log is refused with one sentence."""

import bz2
import gzip
import io
import lzma
import re
import sys
import zlib
from pathlib import Path

import zstandard

STDIN = "-"
ERRORS = (OSError, EOFError, lzma.LZMAError, zlib.error, zstandard.ZstdError)
"""What reading can raise: the system's errors, and those of a damaged or cut archive."""

SNIFF = 4096
# Formats that stand beside logs in a folder of runs, by their first bytes.
BINARY = re.compile(
    rb"\x7fELF|\x89PNG|\x89HDF|PK\x03\x04|\xff\xd8\xff|GIF8|%PDF|\x93NUMPY|\x80[\x02-\x05]|\xca\xfe\xba\xbe"
    rb"|SQLite format|RIFF"
)
CONTROL = bytes(set(range(32)) - set(b"\0\b\t\n\r\x0c\x1b"))


class NotALogError(OSError):
    """The file holds something else."""


def open_log(path: Path | str) -> io.BufferedIOBase:
    """Open a log for reading bytes.

    Args:
        path: a file, compressed by gzip, bzip2, xz or zstd or not (its first bytes tell, not its name), or `-`.

    Raises:
        OSError: it cannot be opened, or is no log (NotALogError).
    """
    standard = str(path) == STDIN
    buffered = open(sys.stdin.fileno() if standard else path, "rb", closefd=not standard)  # noqa: SIM115 - the caller closes
    try:
        start = buffered.peek(SNIFF)[:SNIFF]
        if start.startswith(b"\x1f\x8b"):
            return gzip.GzipFile(fileobj=buffered)
        if start.startswith(b"BZh"):
            return bz2.BZ2File(buffered)
        if start.startswith(b"\xfd7zXZ\0"):
            return lzma.LZMAFile(buffered)
        if start.startswith(b"\x28\xb5\x2f\xfd"):
            return zstandard.ZstdDecompressor().stream_reader(buffered, read_across_frames=True)  # type: ignore[return-value]
        if BINARY.match(start) or len(start) - len(start.translate(None, CONTROL)) > len(start) / 10:
            raise NotALogError("binary data, no log")
    except BaseException:
        buffered.close()
        raise
    return buffered
