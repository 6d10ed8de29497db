"""From the bytes of a log to clean lines of text.

A log of a batch job is no text file: progress bars are drawn over themselves with carriage returns and backspaces,
colours are escape sequences, jobs that share a file leave NUL bytes, a message of the scheduler is glued to half a bar.
Here all of that becomes frames: pieces of clean text with the number of their line.
"""

import re
from collections.abc import Iterator, Sequence
from io import BufferedIOBase
from typing import NamedTuple

BLOCK = 1 << 20
LONGEST = 1 << 18
"""Bytes of a line without any break that are kept; the rest of such a line is no log."""

PREFIX = 200
"""Bytes of a line in which a launcher's prefix stands."""
MOST_RANKED_LINES = 1000

BACKSPACES = re.compile(rb"\x08+\r?")
ANSI = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
INSIDE = b" - ETA: "
BAR_ENDS = frozenset(b"0123456789s ")
KERAS_3 = re.compile(rb"(?:\x1b\[1m)? *(\d+)/(\d+|Unknown)(?:\x1b| )")
LEFT_OVER = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

# What is written by another process in the middle of a line: the line is cut before it.
GLUED = re.compile(
    r"(?<=\S)(?=slurmstepd(?:-\S+)?: |srun: (?:error|Job|Force)|=>> PBS: |WARNING: One or more tensors|"
    r"Traceback \(most recent call last\))|(?<=[\d\])s])(?=/[\w./-]{1,200}/slurm_script: line \d+:)|(?<=\])(?=\{')"
)
GLUED_MARKS = ("slurm", "srun: ", "=>> PBS", "WARNING: One", "Traceback (", "]{'")
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
    bar: tuple[int, bytes] | None = None
    others: dict[bytes, Held] = {}
    for number, lines in _blocks(stream):
        for line in lines:
            number += 1
            if not line:
                continue
            # The commonest line by far, and the reason for this loop's form: a Keras bar inside an epoch. One that does
            # not end as a bar does has something glued to it.
            if INSIDE in line and line[-1] in BAR_ENDS and b"\r" not in line and len(line) < 400:
                bar = number, line
                continue
            pieces: Sequence[bytes] = (line,)
            if b"\r" in line:
                pieces = line.split(b"\r")
                _note_rank(ranks, number, line)
            for piece in pieces:
                if not piece:
                    continue
                if INSIDE in piece and piece[-1] in BAR_ENDS and len(piece) < 400:
                    bar = number, piece
                elif drawn := _drawn_over(piece):
                    key, complete = drawn
                    if key not in others or (others[key].complete and not complete):
                        yield from _release(bar, others)
                        bar = None
                    others[key] = Held(number, piece, complete)
                else:
                    if bar or others:
                        yield from _release(bar, others)
                        bar = None
                    yield from _clean(number, piece)
    yield from _release(bar, others)


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
    complete: bool


def _drawn_over(piece: bytes) -> tuple[bytes, bool] | None:
    """Return what tells the bar of `piece` from others, and whether it is full; None where it is no such bar."""
    if b"\xe2\x94\x81" in piece and (match := KERAS_3.match(piece)):
        return b"keras" + match[2], match[1] == match[2]
    if b"%|" in piece and piece[-1:] == b"]":
        label, _, _ = piece.partition(b"%|")
        return b"tqdm" + label.rstrip(b" 0123456789"), label[-3:] == b"100"
    if piece[:13] == b"Train Epoch: ":  # PyTorch's examples print a line where others draw a bar
        return piece.partition(b"[")[0], False
    return None


def _release(bar: tuple[int, bytes] | None, others: dict[bytes, Held]) -> Iterator[Frame]:
    """Yield the bars that are held, in the order of their lines, and let them go."""
    held = [(number, piece) for number, piece, _ in others.values()] + ([bar] if bar else [])
    others.clear()
    for number, piece in sorted(held, key=lambda pair: pair[0]):
        yield from _clean(number, piece)


def _blocks(stream: BufferedIOBase) -> Iterator[tuple[int, list[bytes]]]:
    """Yield blocks of the stream as (lines before it, its lines); what moves the cursor back is one `\\r` there."""
    number, rest, skipping = 0, b"", False
    while True:
        block = stream.read1(BLOCK)  # one read at a time: what comes before an error is not lost
        chunk = rest + block
        if b"\0" in chunk:
            chunk = chunk.translate(None, b"\0")
        if b"\b" in chunk:
            chunk = BACKSPACES.sub(b"\r", chunk)
        cut = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1 if block else len(chunk)
        rest = chunk[cut:]
        if skipping and cut:
            first = min((at for at in (chunk.find(b"\n"), chunk.find(b"\r")) if at >= 0), default=cut)
            chunk, cut, skipping = chunk[first:], cut - first, False
        lines = chunk[:cut].split(b"\n")
        yield number, lines
        number += len(lines) - 1  # the last one goes on in the next block
        if len(rest) > LONGEST:
            if not skipping:
                yield number, [rest[:LONGEST]]
            rest, skipping = b"", True
        if not block:
            return


def _rank(text: str) -> tuple[int | None, str]:
    """Return the rank that launchers' prefixes name, None where they name none, and the text behind them."""
    rank = None
    while match := RANK.match(text):
        rank = next((int(number) for number in match.groups() if number is not None), rank)
        text = text[match.end() :]
    return rank, text


def _clean(number: int, piece: bytes) -> Iterator[Frame]:
    """Yield the frames of a piece: one, or several where messages are glued together."""
    if b"\x1b" in piece:
        piece = ANSI.sub(b"", piece)
    text = piece.decode("utf-8", "replace")
    if number == 1:
        text = text.removeprefix("\ufeff")
    if not text.isprintable():
        text = LEFT_OVER.sub("", text)
    for part in GLUED.split(text) if any(mark in text for mark in GLUED_MARKS) else (text,):
        rank, part = _rank(part)
        if part[:1] in ("#", ">"):
            part = QUOTED.sub("", part, count=1)
        if "]<std" in part:
            part = TAG_INSIDE.sub("", part)
        if part := part.rstrip():
            yield Frame(number, part, rank)
