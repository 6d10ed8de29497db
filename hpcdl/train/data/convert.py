"""Class folders to TFRecord shards: in parallel, each shard whole or not there, going on where it was interrupted."""

import io
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hpcdl.errors import DataError
from hpcdl.files import atomic_file, write_atomically
from hpcdl.train.data.example import FRAME_BYTES, Features, encode_example, write_record
from hpcdl.train.data.folders import Listing, list_folders
from hpcdl.train.data.images import decode
from hpcdl.train.data.tfrecord import CLASS, IMAGE, LABEL, NAME, SPLITS, Index, Shard, scan_shard, write_index

SKIPPED_FILE = "skipped.txt"
SHOWN = 5
"""Corrupt images that an error names; it counts the others."""


@dataclass(frozen=True)
class _Plan:
    """One shard to write: every n-th image of a part, so that all shards have all classes."""

    path: Path
    listing: Listing
    rows: range
    classes: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        return [self.listing.names[row] for row in self.rows]


def convert(
    source: Path,
    folder: Path,
    shards: int,
    workers: int,
    skip_corrupt: bool = False,
    progress: Callable[[str], None] = lambda name: None,
) -> tuple[Index, list[str]]:
    """Write the images of class folders as TFRecord shards with an index, and return the index and what was left out.

    Every image is decoded once to see that it is whole; the shards hold the files as they are. A shard that is already
    there and holds the same images is kept. A part with fewer images than `shards` gets as many shards as images.

    Args:
        source: the class folders, see `folders.py`.
        folder: where the shards go; made when it is not there.
        shards: number of shards of the training images; the test images get a part in proportion.
        workers: threads.
        skip_corrupt: leave corrupt images out and name them in skipped.txt, instead of refusing.
        progress: called with the name of each shard that is done.

    Raises:
        DataError: the source is not of that layout, an image is corrupt, or the disk has no room; shards that were
            finished stay, and another call goes on.
    """
    train, test, classes = list_folders(source)
    per_shard = max(1, -(-len(train.names) // shards))
    plans = []
    for split, listing in zip(SPLITS, (train, test), strict=True):
        count = shards if split == "train" else -(-len(listing.names) // per_shard)
        count = min(count, len(listing.names))
        for number in range(count):
            path = folder / f"{split}-{number:05d}-of-{count:05d}.tfrecord"
            plans.append(_Plan(path, listing, range(number, len(listing.names), count), classes))
    written: list[Shard] = []
    corrupt: list[str] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _check_room(folder, plans)
        with ThreadPoolExecutor(workers) as pool:
            for shard, faults in pool.map(lambda plan: _write_shard(plan, skip_corrupt), plans):
                corrupt = sorted([*corrupt, *faults])
                if shard:
                    written.append(shard)
                    progress(shard.name)
        if corrupt and not skip_corrupt:
            more = f" (and {len(corrupt) - SHOWN} more)" if len(corrupt) > SHOWN else ""
            raise DataError(
                f"{len(corrupt)} images are corrupt: {'; '.join(corrupt[:SHOWN])}{more}. Repair them, or leave "
                "them out by --skip-corrupt; the other shards are written and stay."
            )
        if corrupt:
            write_atomically(folder / SKIPPED_FILE, "".join(f"{name}\n" for name in corrupt))
        return write_index(folder, written, classes), corrupt
    except OSError as fault:
        raise DataError(
            f"{folder}: cannot be written ({fault.strerror}). Make room and call it again: it goes on."
        ) from None


def _check_room(folder: Path, plans: list[_Plan]) -> None:
    missing = [plan for plan in plans if not plan.path.exists()]
    needed = 0
    for plan in missing:
        sizes = (os.path.getsize(plan.listing.root / name) for name in plan.names)
        needed += sum(size + FRAME_BYTES + 200 for size in sizes)  # 200: the features beside the image
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(f"{folder}: {needed} bytes are needed, but {free} are free. Choose another disk.")


def _write_shard(plan: _Plan, skip_corrupt: bool) -> tuple[Shard | None, list[str]]:
    """Write one shard unless it is there; return it, None when it was refused, and its corrupt images."""
    if plan.path.exists():
        try:
            shard = scan_shard(plan.path)
        except DataError:  # of another program, or altered since: written anew
            shard = None
        if shard and shard.names == plan.names:
            return shard, []
    corrupt = []
    root, buffer = plan.listing.root, io.BytesIO()
    for row in plan.rows:
        name = plan.listing.names[row]
        content = (root / name).read_bytes()
        try:
            decode(content, str(root / name), None)
        except DataError as fault:
            corrupt.append(str(fault).partition(". Replace it")[0])
            continue
        features: Features = {
            IMAGE: [content],
            LABEL: [int(plan.listing.labels[row])],
            NAME: [name.encode()],
            CLASS: [name.partition("/")[0].encode()],
        }
        write_record(buffer, encode_example(features))
    if corrupt and not skip_corrupt:
        return None, corrupt
    with atomic_file(plan.path) as file:
        file.write(buffer.getbuffer())
    return scan_shard(plan.path), corrupt  # read back: what is on the disk is what the index says
