"""Lists of host names such as `node[01-04,07],login` (hostlist.c): count, sort, write short.

ClusterShell's NodeSet reads more than sbatch does (steps, groups, several dimensions), so this is sbatch's own reading.
"""

import re
from dataclasses import dataclass, replace

from hpcdl.slurm.sbatch.numbers import leading_integer
from hpcdl.slurm.sbatch.refusal import Refusal

_MOST_IN_A_RANGE = 64 * 1024
_MOST_HOSTS = 1_000_000  # where sbatch itself would take minutes; no cluster has as many
_SEPARATOR = re.compile(r"[\t, ]")
_SEPARATORS = re.compile(r"[\t, ]*")
_NUMBERED = re.compile(r"(.*?)([0-9]+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Range:
    """Hosts `prefix` + low..high, written with at least `width` digits; `low` None is one host without a number."""

    prefix: str
    low: int | None
    high: int = 0
    width: int = 0

    def __len__(self) -> int:
        return 1 if self.low is None else self.high - self.low + 1


def read_hosts(text: str) -> list[Range]:
    """Return the ranges of a host list, in its order.

    Raises:
        Refusal: what stands in brackets is no list of numbers and ranges.
    """
    ranges: list[Range] = []
    for token in _tokens(text):
        head, bracket, tail = token.rpartition("[")
        if not bracket:
            ranges.append(one_host(token))
        elif "]" not in tail:  # taken for a host with an odd name
            ranges.append(one_host(f"{head}]" if head else tail))
        else:
            inside, _, after = tail.partition("]")
            if after:
                raise _no_list(text)
            numbers = _numbers(inside, text)
            ranges += [replace(number, prefix=prefix) for prefix in _prefixes(head, text) for number in numbers]
    return ranges


def _tokens(text: str) -> list[str]:
    """Split at commas and blanks outside brackets."""
    tokens, begin = [], 0
    while match := _SEPARATORS.match(text, begin):
        begin = match.end()
        if begin == len(text):
            break
        end, inside = _word_end(text, begin), begin
        while True:
            opening, closing = text.find("[", inside), text.find("]", inside)
            if not 0 <= opening <= end or closing < opening:  # also: never closed, or closed before it is opened
                break
            if closing < end:
                inside = closing + 1
            else:
                end = _word_end(text, closing)
        tokens.append(text[begin:end])
        begin = end
    return tokens


def _word_end(text: str, begin: int) -> int:
    match = _SEPARATOR.search(text, begin)
    return match.start() if match else len(text)


def one_host(name: str) -> Range:
    """Return a single host; the digits at its end are its number."""
    match = _NUMBERED.fullmatch(name)
    if not match or int(match.group(2)[:30]) >= 2**64:
        return Range(name, None)
    number = int(match.group(2))
    return Range(match.group(1), number, number, len(match.group(2)))


def _prefixes(head: str, text: str) -> list[str]:
    """Write out the brackets in the part before the last bracket, as in `rack[1-2]node[1-8]`, from the right."""
    names = [""]
    while True:
        before, bracket, rest = head.rpartition("[")
        if not bracket or "]" not in rest:
            return [head + name for name in names]
        inside, _, after = rest.rpartition("]")
        numbers = _numbers(inside, text)
        count = sum(map(len, numbers))
        if count > _MOST_IN_A_RANGE or count * len(names) > _MOST_HOSTS:
            raise _no_list(text)
        written = [f"{number:0{part.width}d}" for part in numbers for number in range(part.low or 0, part.high + 1)]
        names = [number + after + name for number in written for name in names]
        head = before


def _numbers(inside: str, text: str) -> list[Range]:
    """Read `01-04,07`."""
    ranges = []
    for part in inside.split(","):
        low_text, dash, high_text = part.partition("-")
        low, low_rest = leading_integer(low_text)
        high, high_rest = leading_integer(high_text) if dash and high_text else (low, low_rest)
        if low is None or high is None or high_rest or "x" in part or high_text.startswith("-") or low < 0:
            raise _no_list(text)
        if not low <= high < low + _MOST_IN_A_RANGE:
            raise _no_list(text)
        ranges.append(Range("", low, high, len(low_text)))
    return ranges


def _no_list(text: str) -> Refusal:
    return Refusal(f"{text!r} is no host list; write node[01-04,07]", rule="bad-value")


def unique(ranges: list[Range]) -> list[Range]:
    """Return the hosts sorted, each once, neighbours joined."""
    result: list[Range] = []
    for new in sorted(ranges, key=_order):
        last = result[-1] if result else None
        if last and last.prefix == new.prefix and (last.low is None) == (new.low is None):
            if new.low is None:
                continue
            if last.width == new.width and new.low <= last.high + 1:
                result[-1] = replace(last, high=max(last.high, new.high))
                continue
        result.append(new)
    return result


def _order(item: Range) -> tuple[list[tuple[int, int, str]], bool, int, int]:
    pieces = re.findall(r"[0-9]+|[^0-9]+", item.prefix)
    natural = [(0, int(piece[:30]), "") if piece.isdigit() else (1, 0, piece) for piece in pieces]
    return natural, item.low is not None, item.width, item.low or 0


def first_hosts(ranges: list[Range], count: int) -> list[Range]:
    """Return the first `count` hosts."""
    result = []
    for item in ranges:
        if count <= 0:
            break
        if item.low is not None:
            item = replace(item, high=min(item.high, item.low + count - 1))
        result.append(item)
        count -= len(item)
    return result


def write_hosts(ranges: list[Range]) -> str:
    """Return the hosts in short, neighbours with one prefix in one pair of brackets."""
    groups: list[list[Range]] = []
    for item in ranges:
        same = groups and item.low is not None and groups[-1][0].low is not None and groups[-1][0].prefix == item.prefix
        if same:
            groups[-1].append(item)
        else:
            groups.append([item])
    return ",".join(_group(group) for group in groups)


def _group(group: list[Range]) -> str:
    if group[0].low is None:
        return group[0].prefix
    numbers = [
        f"{item.low:0{item.width}d}" + (f"-{item.high:0{item.width}d}" if item.high != item.low else "")
        for item in group
    ]
    if len(group) == 1 and len(group[0]) == 1:
        return group[0].prefix + numbers[0]
    return f"{group[0].prefix}[{','.join(numbers)}]"


def joined(ranges: list[Range]) -> list[Range]:
    """Return the hosts in their order, a number right after its predecessor joined to it."""
    result: list[Range] = []
    for item in ranges:
        last = result[-1] if result else None
        follows = last and item.low is not None and last.low is not None and last.prefix == item.prefix
        if last and follows and last.high + 1 == item.low and last.width == item.width:
            result[-1] = replace(last, high=item.high)
        else:
            result.append(item)
    return result
