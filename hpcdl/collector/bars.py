"""Progress bars that are drawn over: what tells their states, and how most of them are passed over unseen.

Nearly every byte of a large log belongs to a state of a bar that the next state replaces. The states of one bar are
alike: the same bytes at the same offsets, around a count of steps. Such a mould is compared with all pieces of a block
at once, by numpy; what it passes over is exactly what reading state by state would have replaced.
"""

import re
from collections.abc import Iterator
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
NOT_BRACKET = bytes(set(range(256)) - set(b"]"))

MOST_MOULDS = 4
WORTH = 0.02
"""Part of the pieces of a block for which another mould is looked for."""
WORD = 8
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


class Mould(NamedTuple):
    """What the states of one bar have in common. A piece that fits has the same `state`, and is not full."""

    literals: tuple[tuple[int, bytes], ...]
    """Bytes at their offsets."""
    steps: tuple[int, int] = (0, 0)
    """Where the count of steps (or the percentage) stands: spaces, then digits."""
    full: bytes = b""
    """How the count of a full bar ends."""
    ends: bytes | None = None
    """The last byte is one of these; None for any."""
    longest: int | None = None
    """Its bytes are fewer."""

    @property
    def shortest(self) -> int:
        """Its bytes are no fewer."""
        return max(offset + len(literal) for offset, literal in self.literals)


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
            found = Mould(((slash, piece[slash : match.end()]), inside), (0, slash), b"", INSIDE_ENDS, LONGEST)
        elif piece[:1] not in (b" ", *(b"%d" % digit for digit in range(10))):
            found = Mould(((0, piece[:1]), inside), (0, 0), b"", INSIDE_ENDS, LONGEST)
    elif key.startswith(HEAVY) and (match := KERAS_3.match(piece)):
        start, slash = len(match[1].rstrip(b" ")), match.end(2)
        literals = ((0, piece[:start]), (slash, piece[slash : match.end()]), (piece.index(HEAVY), HEAVY))
        found = Mould(literals, (start, slash), match[3])
    elif key.startswith(PERCENT):
        label, bar = key.removeprefix(PERCENT), piece.index(PERCENT)
        if not BEGINS_AS_KERAS_3.match(label) and bar - len(label) >= len(b"100"):
            found = Mould(((0, label), (bar, PERCENT)), (len(label), bar), b"100", b"]")
    elif piece[len(key) : len(key) + 1] == b"[":
        found = Mould(((0, key + b"["),), ends=NOT_BRACKET)
    if found and (found.steps[1] - found.steps[0] > WORD or found.shortest > LONGEST):
        return None
    return found


class Skimmer:
    """Passes over the states of bars in the blocks of one log."""

    def __init__(self) -> None:
        self._moulds: list[Mould] = []

    def passages(self, block: bytes) -> Iterator[tuple[int, int, int]]:
        """Yield what must be read of a block: its start, its end, and the lines that end in what is left out before it.

        Left out are states of a bar that are followed by another of the same bar, but for those at the start of a line
        that is drawn over: a launcher's prefix may stand there.

        Args:
            block: whole pieces with the breaks behind them; at the end of a log the last one may have none.
        """
        import numpy as np

        data = np.frombuffer(block, np.uint8)
        starts, ends = _pieces(block, data)
        drawn_over = b"\r" in block or b"\b" in block
        bars = self._bars(block, data, starts, ends)
        dropped = (bars[:-1] == bars[1:]) & (bars[:-1] != 0)
        if drawn_over:
            dropped &= (data[ends[:-1]] == NEWLINE) | (data[starts[:-1] - 1] != NEWLINE)
            dropped[:1] = False
        runs = np.flatnonzero(np.diff(dropped, prepend=False, append=False)).reshape(-1, 2)
        at = lines = 0
        for start, stop in starts[runs].tolist():
            yield at, start, lines
            at, lines = stop, int(np.count_nonzero(data[start:stop] == NEWLINE))
        yield at, len(block), lines

    def _bars(self, block: bytes, data: "np.ndarray", starts: "np.ndarray", ends: "np.ndarray") -> "np.ndarray":
        """Return which bar each piece is a state of, as a number from 1; 0 where none is known."""
        import numpy as np

        view = View(
            data, np.ndarray(len(block) + LONGEST, "<u8", block + bytes(LONGEST + WORD), strides=(1,)), starts, ends
        )
        # Then a piece may be a state of that kind, whatever else it looks like. One byte is found ten times as fast.
        only_inside = b"T" in block and INSIDE in block
        bars = np.zeros(len(starts), np.uint8)
        tried, self._moulds = self._moulds, []
        while True:
            for shape in tried:
                if shape.longest or not only_inside:
                    fits = view.fits(shape)
                    if fits.any():
                        self._moulds.append(shape)
                        bars[fits] = len(self._moulds)
            left = np.flatnonzero(bars == 0)
            if len(self._moulds) >= MOST_MOULDS or len(left) <= len(bars) * WORTH:
                return bars
            middle = left[len(left) // 2]
            new = mould(block[starts[middle] : ends[middle]])
            if new is None or new in self._moulds or new in tried:
                return bars
            tried = [new]


def _pieces(block: bytes, data: "np.ndarray") -> tuple["np.ndarray", "np.ndarray"]:
    """Return where the pieces between breaks start and end; there are no empty ones."""
    import numpy as np

    breaks = data == NEWLINE
    if b"\r" in block:
        breaks |= data == RETURN
    if b"\b" not in block:
        ends = np.flatnonzero(breaks)
        starts = np.concatenate(([0], ends + 1))
        ends = np.append(ends, len(block))
        some = starts < ends
        return (starts, ends) if some.all() else (starts[some], ends[some])
    # Half of the bytes are backspaces: only where rows of them begin and end is looked for.
    breaks |= data == BACKSPACE
    borders = np.flatnonzero(breaks[1:] ^ breaks[:-1]) + 1
    if not breaks[0]:
        borders = np.concatenate(([0], borders))
    if not breaks[-1]:
        borders = np.append(borders, len(block))
    return borders[::2], borders[1::2]


class View(NamedTuple):
    """A block's bytes, the words of eight bytes at every offset, and where its pieces start and end."""

    data: "np.ndarray"
    words: "np.ndarray"
    starts: "np.ndarray"
    ends: "np.ndarray"

    def fits(self, shape: Mould) -> "np.ndarray":
        """Return which pieces fit the mould."""
        import numpy as np

        sizes = self.ends - self.starts
        fits = sizes >= shape.shortest
        if shape.longest is not None:
            fits &= sizes < shape.longest
        if shape.ends is not None:
            allowed = np.zeros(256, bool)
            allowed[list(shape.ends)] = True
            fits &= allowed[self.data[self.ends - 1]]
        for offset, literal in shape.literals:
            for at in range(0, len(literal), WORD):
                part = literal[at : at + WORD]
                found = self.words[self.starts + (offset + at)]
                if len(part) < WORD:
                    found &= np.uint64((1 << 8 * len(part)) - 1)
                fits &= found == np.uint64(int.from_bytes(part, "little"))
        first, behind = shape.steps
        if first < behind:
            fits &= _counts(self.words[self.starts + first], behind - first, shape.full)
        return fits


def _counts(words: "np.ndarray", width: int, full: bytes) -> "np.ndarray":
    """Return which words begin with `width` bytes that are spaces, then digits, and do not end as a full bar's count.

    The eight bytes of a word are looked at in one operation, each in its own eight bits; its first byte is the lowest.
    """
    import numpy as np

    def each(byte: int) -> "np.uint64":
        return np.uint64(int.from_bytes(bytes([byte]) * width, "little"))

    low = np.uint64(4)
    values = (words & each(0xFF)) ^ each(ord("0"))  # a digit becomes 0 to 9, a space 16
    spaces = (values >> low) & each(1)
    # Adding 6 to a digit, 15 to a space, reaches 16 for anything else in the lower half of a byte.
    beyond = ((values & each(0x0F)) + each(6) + spaces * np.uint64(9)) & each(0x10)
    filled = spaces * np.uint64(0xFF)
    after_a_digit = filled & (filled + np.uint64(1))
    fits = (values & each(0xE0) | beyond | after_a_digit) == 0
    fits &= spaces < np.uint64(1 << 8 * (width - 1))  # the last one is a digit
    if 0 < len(full) <= width:
        shift = np.uint64(8 * (width - len(full)))
        fits &= ((words & each(0xFF)) >> shift) != np.uint64(int.from_bytes(full, "little"))
    return fits
