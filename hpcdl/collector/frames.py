"""From the bytes of a log to clean lines of text.

A log of a batch job is no text file: progress bars are drawn over themselves with carriage returns and backspaces,
colours are escape sequences, jobs that share a file leave NUL bytes, a message of the scheduler is glued to half a bar.
Here all of that becomes frames: pieces of clean text with the number of their line.
"""

import re
from collections.abc import Iterator, Sequence
from io import BufferedIOBase
from typing import NamedTuple

from hpcdl.collector.bars import NEWLINE, Skimmer, state

BLOCK = 1 << 20
"""Bytes that are read at a time: many for each call of numpy, few enough to stay in a core's cache."""
LARGE = 1 << 19
"""Bytes of a log from which on its bars are skimmed: fewer are read as fast as numpy is loaded."""
LONGEST = 1 << 18
"""Bytes of a line without any break that are kept; the rest of such a line is no log."""

PREFIX = 200
"""Bytes of a line in which a launcher's prefix stands."""
MOST_RANKED_LINES = 1000

BREAKS = (b"\n", b"\r", b"\b")
BACKSPACES = re.compile(rb"\x08+\r?")
ANSI = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
LEFT_OVER = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

# What is written by another process in the middle of a line: the line is cut before it.
GLUED = re.compile(
    r"(?<=\S)(?=slurmstepd(?:-\S+)?: |srun: (?:error|Job|Force)|=>> PBS: |WARNING: One or more tensors|"
    r"Traceback \(most recent call last\))|(?<=[\d\])s])(?=/[\w./-]{1,200}/slurm_script: line \d+:)|(?<=\])(?=\{')"
)
RANK = re.compile(
    # Open MPI, PMIx, horovodrun, SageMaker: [1,0]<stdout>: with a time stamp before it or not
    r"(?:[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} \d{4})?"
    r"\[(?:[^,\]\s]+,)?(?:mpirank:)?(?P<mpi>\d+)(?:,[^\]]+)?\](?:\[[^\]]*\])?<(?:stdout|stderr|stddiag)>: ?"
    r"|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} \d{4}<(?:stdout|stderr|stddiag)>: ?"  # without the rank
    r"|\[(?:rank|default|stdout:|stderr:)(?P<torch>\d+)\]:? ?"  # torch, torchrun, ipyparallel
    r"|\((?:\w+ )?(?:pid|rank)=(?P<ray>\d+)(?:, ip=[\d.]+)?\) "  # Ray
    r"| *(?P<srun>\d{1,6}): (?!\d+\.\d+,)"  # srun --label; Darknet's own lines begin alike
)
TAG_INSIDE = re.compile(r"\[\d+,\d+\]<(?:stdout|stderr|stddiag)>:")  # horovod/horovod#1012: a tag in mid-line
BAR_BEGINS = re.compile(r"\s*\d+/\d+")
BAR_GOES_ON = re.compile(r"\s*(?:\[[=>.]+\]|[\d.]+(?:us|ms|s)/(?:step|sample))")
QUOTED = re.compile(r"(?:[#>]+ )+")


class Frame(NamedTuple):
    """A piece of a log."""

    line: int
    """Number of its line in the file, from 1."""
    text: str
    """Without control characters, prefix of a launcher, and white space at its end; never empty."""
    rank: int | None = None
    """The rank that wrote it, where a launcher says so."""


def frames(stream: BufferedIOBase) -> Iterator[Frame]:
    """Yield the frames of a log in order, in constant memory.

    A state of a progress bar that a later state of the same bar replaces is left out; a bar that was broken over
    lines, as in a slide or a mail, is one frame.
    """
    broken: Frame | None = None
    ranks: dict[int, int] = {}
    for frame in _drawn(stream, ranks):
        if frame.rank is None and frame.line in ranks:
            frame = frame._replace(rank=ranks[frame.line])
        if broken:
            if (broken.text.endswith(" -") or BAR_GOES_ON.match(frame.text)) and len(broken.text) < 400:
                broken = Frame(broken.line, f"{broken.text} {frame.text.lstrip()}", broken.rank)
                continue
            yield broken
            broken = None
        if len(frame.text) < 24 and BAR_BEGINS.fullmatch(frame.text):
            broken = frame
        else:
            yield frame
    if broken:
        yield broken


def _drawn(stream: BufferedIOBase, ranks: dict[int, int]) -> Iterator[Frame]:
    """Yield frames without the states of a bar that were drawn over.

    A launcher puts its prefix before a line, not before what is drawn over it: `ranks` gets the rank of such lines.
    """
    held: dict[bytes, Held] = {}
    for number, begins, passage in _passages(stream):
        for line in passage.split(b"\n"):
            pieces: Sequence[bytes] = (line,)
            if b"\r" in line:
                pieces = line.split(b"\r")
                if begins:
                    _note_rank(ranks, number, line)
            for piece in pieces:
                if not piece:
                    continue
                if bar := state(piece):
                    key, full = bar
                    if key not in held or (held[key].full and not full):
                        yield from _release(held)
                    held[key] = Held(number, piece, full)
                else:
                    if held:
                        yield from _release(held)
                    yield from _clean(number, piece)
            number += 1
            begins = True
    yield from _release(held)


def _note_rank(ranks: dict[int, int], number: int, line: bytes) -> None:
    """Note the rank of a line that is drawn over, where a launcher put one before it."""
    rank, _ = _rank(line[:PREFIX].decode("utf-8", "replace"))
    if rank is not None:
        if len(ranks) > MOST_RANKED_LINES:
            ranks.clear()
        ranks[number] = rank


class Held(NamedTuple):
    """The last state of a bar that may still be drawn over."""

    line: int
    piece: bytes
    full: bool


def _release(held: dict[bytes, Held]) -> Iterator[Frame]:
    """Yield the bars that are held, in the order of their lines, and let them go."""
    bars = sorted(held.values(), key=lambda bar: bar.line)
    held.clear()
    for bar in bars:
        yield from _clean(bar.line, bar.piece)


def _passages(stream: BufferedIOBase) -> Iterator[tuple[int, bool, bytes]]:
    """Yield what must be read of the stream: number of its first line, whether that begins there, bytes.

    What moves the cursor back is one `\\r` there. In a large log the states of bars are left out that are drawn over.
    """
    number, begins, seen = 1, True, 0
    skimmer = Skimmer()
    for block, size in _blocks(stream):
        seen += size
        for start, stop, lines in skimmer.passages(block, size) if seen > LARGE else [(0, size, 0)]:
            number += lines
            passage = bytes(block[start:stop])
            yield number, block[start - 1] == NEWLINE if start else begins, BACKSPACES.sub(b"\r", passage)
            number += passage.count(b"\n")
        begins = block[size - 1] == NEWLINE


def _blocks(stream: BufferedIOBase) -> Iterator[tuple[bytearray, int]]:
    """Yield the stream in blocks, each with the number of its bytes up to its last break.

    What comes after that begins the next block. NUL bytes are left out, and what is beyond LONGEST. All blocks lie in
    the same memory: each is gone when the next one is asked for.
    """
    block = bytearray(LONGEST + BLOCK)
    size, skipping = 0, False
    while True:
        read = stream.readinto1(memoryview(block)[size : size + BLOCK])  # once: what comes before an error is not lost
        end = size + read
        if block.find(0, size, end) >= 0:
            text = block[size:end].translate(None, b"\0")
            end = size + len(text)
            block[size:end] = text
        cut = 0 if read else end
        for mark in BREAKS:
            cut = max(cut, block.rfind(mark, cut, end) + 1)
        if skipping and cut:
            first = min((at for mark in BREAKS if (at := block.find(mark, 0, cut)) >= 0), default=cut)
            block[: end - first] = block[first:end]
            cut, end, skipping = cut - first, end - first, False
        if cut:
            yield block, cut
        size = end - cut
        block[:size] = block[cut:end]
        if size > LONGEST:
            if not skipping:
                yield block, LONGEST
            size, skipping = 0, True
        if not read:
            return


def _rank(text: str) -> tuple[int | None, str]:
    """Return the rank that launchers' prefixes name, None where they name none, and the text behind them."""
    rank = None
    while match := RANK.match(text):
        rank = next((int(number) for number in match.groups() if number is not None), rank)
        text = text[match.end() :]
    return rank, text


def _may_be_glued(text: str) -> bool:
    """Tell cheaply whether GLUED can match. Written out, since it is asked for every piece."""
    begun = "slurm" in text or "srun: " in text or "=>> PBS" in text or "Traceback (" in text
    return begun or "WARNING: One" in text or "]{'" in text


def _clean(number: int, piece: bytes) -> Iterator[Frame]:
    """Yield the frames of a piece: one, or several where messages are glued together."""
    if b"\x1b" in piece:
        piece = ANSI.sub(b"", piece)
    text = piece.decode("utf-8", "replace")
    if number == 1:
        text = text.removeprefix("\ufeff")
    if not text.isprintable():
        text = LEFT_OVER.sub("", text)
    for part in GLUED.split(text) if _may_be_glued(text) else (text,):
        rank, part = _rank(part)
        if part[:1] in ("#", ">"):
            part = QUOTED.sub("", part, count=1)
        if "]<std" in part:
            part = TAG_INSIDE.sub("", part)
        if part := part.rstrip():
            yield Frame(number, part, rank)
