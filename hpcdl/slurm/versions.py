"""Slurm's versions: 22.05, 23.02, 23.11, 24.05, 24.11, 25.05, 25.11, 26.05."""

import re

from hpcdl.errors import HpcdlError

KNOWN = ((22, 5), (23, 2), (23, 11), (24, 5), (24, 11), (25, 5), (25, 11), (26, 5))


def parse_version(text: str) -> tuple[int, int]:
    """Return a version such as "23.11" or "23.11.4" as (23, 11).

    Raises:
        HpcdlError: it is no version of Slurm that is known here.
    """
    match = re.fullmatch(r"(\d+)\.(\d+)(\.\d+)*", text)
    version = (int(match.group(1)), int(match.group(2))) if match else None
    if version not in KNOWN:
        names = ", ".join(f"{year}.{month:02d}" for year, month in KNOWN)
        raise HpcdlError(f"--slurm {text} is no version that is known here; allowed: {names}")
    return version
