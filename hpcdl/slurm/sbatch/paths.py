"""What sbatch reads of the file system while it reads a script: files of hosts, burst buffers, environments."""

import os
from pathlib import Path

from hpcdl.slurm.sbatch import hostlist
from hpcdl.slurm.sbatch.refusal import Refusal


def read_host_file(path: str, folder: Path, exactly: int | None) -> str:
    """Return the hosts that a file lists, one or more to a line, in short.

    Args:
        path: as the option gives it.
        folder: the working directory of sbatch.
        exactly: how many hosts are needed and read, None for all.

    Raises:
        Refusal: no such file, no host, fewer than needed, or a line that starts with no letter or digit.
    """
    try:
        text = (folder / path).read_text(errors="surrogateescape") if path else ""
    except OSError as error:
        raise Refusal(f"cannot read the host file {path!r}: {error.strerror}", rule="missing-file") from None
    hosts: list[hostlist.Range] = []
    for line in text.split("\n"):
        line = _without_comment(line)
        if not line:
            continue
        if not (line[0].isascii() and line[0].isalnum()):
            raise Refusal(f"the host file {path!r} has a line that starts with {line[0]!r}", rule="missing-file")
        for name in filter(None, line.split(",")):
            name, _, times = name.partition("*")
            hosts += [hostlist.one_host(name)] * (int(times) if times.isdigit() and int(times) else 1)
        if exactly is not None and len(hosts) == exactly:
            break
    if not hosts or (exactly is not None and len(hosts) < exactly):
        raise Refusal(f"the host file {path!r} lists too few hosts", rule="missing-file")
    return hostlist.write_hosts(hostlist.joined(hosts))


def _without_comment(line: str) -> str:
    begin = 0
    while (mark := line.find("#", begin)) >= 0:
        if mark == 0 or line[mark - 1] != "\\":
            return line[:mark]
        line = line[: mark - 1] + line[mark:]
        begin = mark
    return line


def check_readable(path: str, folder: Path, option: str) -> None:
    """Check that a file exists and may be read.

    Raises:
        Refusal: it does not, or may not.
    """
    if not os.access(folder / path, os.R_OK):
        raise Refusal(f"cannot read {path!r}", option=option, rule="missing-file")
