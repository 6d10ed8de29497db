"""What `hpcdl look` has left in the folders of runs, for the page."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hpcdl.collector.columns import harmless
from hpcdl.collector.row import Row

FOLDER, INDEX_FILE = "look", "index.json"


@dataclass(frozen=True)
class Look:
    """The pictures of one look."""

    run: str
    of: str
    """What was looked at, in words."""
    pictures: list[tuple[str, str]]
    """What each shows, and the PNG itself in base64."""


def looks(rows: Sequence[Row]) -> list[Look]:
    """Return the looks that lie in the folders of runs; one that cannot be read is left out."""
    found = []
    for row in rows:
        for folder in sorted({Path(file).parent / FOLDER for file in row.files}):
            look = _read(row.run, folder)
            if look:
                found.append(look)
    return found


def _read(run: str, folder: Path) -> Look | None:
    try:
        index = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))
        pictures = [
            (harmless(str(picture["about"])), base64.b64encode(_inside(folder, picture["png"]).read_bytes()).decode())
            for picture in index["pictures"]
        ]
        return Look(harmless(run), harmless(str(index["of"])), pictures)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _inside(folder: Path, name: str) -> Path:
    """A file of the folder itself: an index from elsewhere must not bring other files of the reader's into the page."""
    path = folder / name
    if path.name != name or path.suffix != ".png" or path.is_symlink():
        raise ValueError(name)
    return path
