"""Progress bars that are drawn over: what tells their states, and how most of them are passed over unseen.

Nearly every byte of a large log belongs to a state of a bar that the next state replaces. The states of one bar are
alike: the same bytes at the same offsets, around a count of steps. Such a mould is compared with all pieces of a block
at once, by numpy; what it passes over is exactly what reading state by state would have replaced.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

INSIDE = b" - ETA: "
"""Stands in a bar of Keras 1 or 2 inside an epoch."""
INSIDE_ENDS = b"0123456789s "
"""How such a bar ends; one that ends otherwise has something glued to it."""
LONGEST = 400
"""Bytes of such a bar."""
HEAVY = b"\xe2\x94\x81"
"""The heavy line that bars of Keras 3 are drawn with."""
PERCENT = b"%|"
PYTORCH = b"Train Epoch: "
"""PyTorch's examples print a line where others draw a bar."""

KERAS_2 = re.compile(rb" *\d+/(\d+) ?\[")
KERAS_3 = re.compile(rb"((?:\x1b\[1m)? *)(\d+)/(\d+|Unknown)(?:\x1b| )")
BEGINS_AS_KERAS_3 = re.compile(rb"(?:\x1b\[1m)? *\d+/")
COUNT = b" 0123456789"

MOST_MOULDS = 4
WORTH = 0.02
"""Part of the pieces of a block for which another mould is looked for."""
MEMORY = 16 << 20
"""Bytes, more than any array of a block; all of them together are fewer than twice as many."""
WORD = 8
ANY = bytes(range(256))
BACKSPACE, NEWLINE, RETURN = b"\b\n\r"


def state(piece: bytes) -> tuple[bytes, bool] | None:
    """Return what tells the bar of `piece` from others, and whether it is full; None where it is no such bar."""
    if INSIDE in piece and piece[-1] in INSIDE_ENDS and len(piece) < LONGEST:
        match = KERAS_2.match(piece)
        return INSIDE + (match[1] if match else b""), False
    if HEAVY in piece and (match := KERAS_3.match(piece)):
        return HEAVY + match[3], match[2] == match[3]
    if PERCENT in piece and piece[-1:] == b"]":
        label, _, _ = piece.partition(PERCENT)
        return PERCENT + label.rstrip(COUNT), label[-3:] == b"100"
    if piece[:13] == PYTORCH:
        return piece.partition(b"[")[0], False
    return None


@dataclass(frozen=True)
class Mould:
    """What the states of one bar have in common. A piece that fits has the same `state`, and is not full."""

    literals: tuple[tuple[int, bytes], ...]
    """Bytes at their offsets."""
    steps: tuple[int, int] = (0, 0)
    """Where the count of steps (or the percentage) stands: spaces, then digits."""
    full: bytes = b""
    """How the count of a full bar ends."""
    lasts: bytes = ANY
    """The last byte is one of these."""
    longest: int = sys.maxsize
    """Its bytes are fewer."""

    @property
    def inside(self) -> bool:
        """Whether this is a bar of Keras 1 or 2 inside an epoch: what `state` looks for first."""
        return self.longest == LONGEST

    @property
    def shortest(self) -> int:
        """Its bytes are no fewer."""
        return max(offset + len(literal) for offset, literal in self.literals)

    @cached_property
    def words(self) -> "list[tuple[np.uint64, np.uint64]]":
        """The literals by the words of a piece: which bits of a word are theirs, and what these must be."""
        import numpy as np

        mask = bytearray(-(-self.shortest // WORD) * WORD)
        bits = bytearray(mask)
        for offset, literal in self.literals:
            mask[offset : offset + len(literal)] = b"\xff" * len(literal)
            bits[offset : offset + len(literal)] = literal
        return list(zip(np.frombuffer(mask, "<u8"), np.frombuffer(bits, "<u8"), strict=True))

    @cached_property
    def may_end(self) -> "np.ndarray":
        """Whether the last byte may be this, for every byte: bool, shape (256,)."""
        import numpy as np

        return np.isin(np.arange(256), list(self.lasts))


def mould(piece: bytes) -> Mould | None:
    """Return the mould of the bar of which `piece` is a state; None where there is none, or it is full."""
    known = state(piece)
    if known is None or known[1]:
        return None
    key, found = known[0], None
    if key.startswith(INSIDE):
        inside = (piece.index(INSIDE), INSIDE)
        if match := KERAS_2.match(piece):
            slash = piece.index(b"/")
            total = (slash, piece[slash : match.end()])
            found = Mould((total, inside), (0, slash), lasts=INSIDE_ENDS, longest=LONGEST)
        elif piece[:1] not in (b" ", *(b"%d" % digit for digit in range(10))):
            found = Mould(((0, piece[:1]), inside), lasts=INSIDE_ENDS, longest=LONGEST)
    elif key.startswith(HEAVY) and (match := KERAS_3.match(piece)):
        start, slash = len(match[1].rstrip(b" ")), match.end(2)
        literals = ((0, piece[:start]), (slash, piece[slash : match.end()]), (piece.index(HEAVY), HEAVY))
        found = Mould(literals, (start, slash), match[3])
    elif key.startswith(PERCENT):
        label, bar = key.removeprefix(PERCENT), piece.index(PERCENT)
        if not BEGINS_AS_KERAS_3.match(label) and bar - len(label) >= len(b"100"):
            found = Mould(((0, label), (bar, PERCENT)), (len(label), bar), b"100", b"]")
    elif piece[len(key) : len(key) + 1] == b"[":
        found = Mould(((0, key + b"["),), lasts=ANY.replace(b"]", b""))
    if found and (found.steps[1] - found.steps[0] > WORD or found.shortest > LONGEST):
        return None
    return found


class Skimmer:
    """Passes over the states of bars in the blocks of one log."""

    def __init__(self) -> None:
        self._moulds: list[Mould] = []

    def passages(self, block: bytes | bytearray, size: int) -> Iterator[tuple[int, int, int]]:
        """Yield what must be read of a block: its start, its end, and the lines that end in what is left out before it.

        Left out are states of a bar that are followed by another of the same bar, but for those at the start of a line
        that is drawn over: a launcher's prefix may stand there.

        Args:
            block: begins with whole pieces and the breaks behind them; at the end of a log the last one may have none.
            size: bytes of those pieces; what comes after them is not looked at.
        """
        import numpy as np

        _keep_memory()
        data = np.frombuffer(block, np.uint8, size)
        newlines = data == NEWLINE
        returns, backspaces = block.find(b"\r", 0, size) >= 0, block.find(b"\b", 0, size) >= 0
        drawn_over = returns or backspaces
        breaks = newlines | (data == RETURN) if returns else newlines
        if backspaces:
            breaks = breaks | (data == BACKSPACE)
        starts, ends = (_between_rows if backspaces else _between)(breaks)
        bars = self._bars(block, View(data, starts, ends))
        edged = np.zeros(len(bars) + 1, bool)
        dropped = edged[1:-1]  # all but the last piece, between two that are not dropped
        np.equal(bars[:-1], bars[1:], out=dropped)
        dropped &= bars[:-1] != 0
        if drawn_over:
            dropped &= (data[ends[:-1]] == NEWLINE) | (data[starts[:-1] - 1] != NEWLINE)
            dropped[:1] = False
        runs = np.flatnonzero(edged[:-1] != edged[1:]).reshape(-1, 2)
        at = lines = 0
        for start, stop in starts[runs].tolist():
            yield at, start, lines
            at, lines = stop, int(np.count_nonzero(newlines[start:stop]))
        yield at, size, lines

    def _bars(self, block: bytes | bytearray, view: "View") -> "np.ndarray":
        """Return which bar each piece is a state of, as a number from 1; 0 where none is known."""
        import numpy as np

        # Then a piece may be a state of that kind, whatever else it looks like. One byte is found ten times as fast.
        only_inside = b"T" in block and INSIDE in block
        bars = np.zeros(len(view.starts), np.uint8)
        left = np.arange(len(bars))
        tried, self._moulds = self._moulds, []
        while True:
            for shape in tried:
                if shape.inside or not only_inside:
                    some = view if len(left) == len(bars) else View(view.data, view.starts[left], view.ends[left])
                    fits = some.fits(shape)
                    if fits.any():
                        self._moulds.append(shape)
                        bars[left[: len(fits)][fits]] = len(self._moulds)
                        left = np.flatnonzero(bars == 0)
            if len(self._moulds) >= MOST_MOULDS or len(left) <= len(bars) * WORTH:
                return bars
            middle = left[len(left) // 2]
            new = mould(bytes(block[view.starts[middle] : view.ends[middle]]))
            if new is None or new in self._moulds or new in tried:
                return bars
            tried = [new]


@cache
def _keep_memory() -> None:
    """Let this process keep the memory of the arrays of one block for those of the next.

    glibc gives a freed piece back to the system when it is larger than the largest one that was freed so far, and the
    end of its heap when that is twice as large (mallopt(3), M_MMAP_THRESHOLD). Every page that comes back from there is
    a fault: half of the time that skimming takes. So one large array, never touched, is made and freed.
    """
    import numpy as np

    np.empty(MEMORY, np.uint8)


def _between(breaks: "np.ndarray") -> tuple["np.ndarray", "np.ndarray"]:
    """Return where the pieces between breaks start and end; there are no empty ones."""
    import numpy as np

    found = np.flatnonzero(breaks)
    starts, ends = np.empty((2, len(found) + 1), np.intp)
    starts[0], ends[-1] = 0, len(breaks)
    np.add(found, 1, out=starts[1:])
    ends[:-1] = found
    some = starts < ends
    return (starts, ends) if some.all() else (starts[some], ends[some])


def _between_rows(breaks: "np.ndarray") -> tuple["np.ndarray", "np.ndarray"]:
    """Return the same as `_between`, faster where half of the bytes are breaks, in rows."""
    import numpy as np

    borders = np.flatnonzero(breaks[1:] ^ breaks[:-1]) + 1
    if not breaks[0]:
        borders = np.concatenate(([0], borders))
    if not breaks[-1]:
        borders = np.append(borders, len(breaks))
    return borders[::2], borders[1::2]


class View(NamedTuple):
    """A block's bytes, and where its pieces start and end."""

    data: "np.ndarray"
    starts: "np.ndarray"
    ends: "np.ndarray"

    def fits(self, shape: Mould) -> "np.ndarray":
        """Return which pieces fit the mould; the last ones, near the end of the block, are not looked at."""
        import numpy as np

        width = len(shape.words) * WORD
        known = np.searchsorted(self.starts, len(self.data) - width, "right")
        starts, ends = self.starts[:known], self.ends[:known]
        sizes = ends - starts
        fits = (sizes >= shape.shortest) & (sizes < shape.longest)
        if shape.lasts != ANY:
            fits &= shape.may_end.take(self.data[ends - 1])
        if not known:
            return fits
        # One look-up of so many bytes at every start takes as long as one of eight.
        windows = np.ndarray(len(self.data) - width + 1, f"V{width}", self.data, strides=(1,))
        words = windows[starts].view("<u8").reshape(known, -1)
        for column, (mask, bits) in enumerate(shape.words):
            if mask:
                fits &= words[:, column] & mask == bits
        first, behind = shape.steps
        if first < behind:
            count = words[:, first // WORD] >> np.uint64(first % WORD * 8)
            if behind > (first // WORD + 1) * WORD:
                count |= words[:, first // WORD + 1] << np.uint64((WORD - first % WORD) * 8)
            few = behind - first <= WORD // 2
            fits &= _counts(count.astype(np.uint32) if few else count, behind - first, shape.full)
        return fits


def _counts(words: "np.ndarray", width: int, full: bytes) -> "np.ndarray":
    """Return which words begin with `width` bytes that are spaces, then digits, and do not end as a full bar's count.

    All bytes of a word are looked at in one operation, each in its own eight bits; its first byte is the lowest.

    Args:
        words: unsigned integers of at least `width` bytes.
    """
    number = words.dtype.type

    def each(byte: int) -> "np.unsignedinteger":
        return number(int.from_bytes(bytes([byte]) * width, "little"))

    values = (words & each(0xFF)) ^ each(ord("0"))  # a digit becomes 0 to 9, a space 16
    spaces = (values >> number(4)) & each(1)
    # Adding 6 to a digit, 15 to a space, reaches 16 for anything else in the lower half of a byte.
    beyond = ((values & each(0x0F)) + each(6) + spaces * number(9)) & each(0x10)
    filled = spaces * number(0xFF)
    after_a_digit = filled & (filled + number(1))
    fits = (values & each(0xE0) | beyond | after_a_digit) == 0
    fits &= spaces < number(1 << 8 * (width - 1))  # the last one is a digit
    if 0 < len(full) <= width:
        shift = number(8 * (width - len(full)))
        fits &= ((words & each(0xFF)) >> shift) != number(int.from_bytes(full, "little"))
    return fits
