"""Where the tasks go: node counts, distribution, sockets, cores and threads (proc_args.c)."""

import re

from hpcdl.slurm.sbatch.numbers import LONG_MAX, int32, leading_integer
from hpcdl.slurm.sbatch.refusal import Refusal
from hpcdl.slurm.sbatch.words import BLANKS

_LEVELS = ("block", "cyclic", "fcyclic")
DISTRIBUTIONS = frozenset(
    ["block", "cyclic", "arbitrary"]
    + [f"{node}:{socket}" for node in _LEVELS[:2] for socket in _LEVELS]
    + [f"{node}:{socket}:{core}" for node in _LEVELS[:2] for socket in _LEVELS for core in _LEVELS]
)


def node_range(text: str) -> tuple[int, int]:
    """Read `MIN[-MAX]`, each with K or M for 1024 or 1024**2: the least and the most nodes (0: no limit).

    Raises:
        Refusal: it is no node count.
    """
    least_text, dash, most_text = text.partition("-")
    least = _node_count(least_text, text)
    if dash:
        least = 1 if least < 0 else least
        most = _node_count(most_text, text)
    else:
        most = least
        if least < 0:
            raise _no_nodes(text)
    if most != 0 and most < least:
        raise Refusal(f"{text!r}: the most nodes are fewer than the least", rule="bad-nodes")
    return least, most


def node_list(text: str) -> tuple[int, int]:
    """Read the same, or from Slurm 23.02 on a list such as `1,4-8` or `4-16:4`: its least and its most number."""
    if "," not in text and ":" not in text:
        return node_range(text)
    numbers = [leading_integer(part) for part in re.split(r"[,:-]+", text.strip(",:-"))]
    if any(number is None or rest for number, rest in numbers):
        raise _no_nodes(text)
    ends = [int(part) for part in re.findall(r"\d+", re.sub(r":\d+", "", text))]
    return min(ends), max(ends)


def _node_count(text: str, whole: str) -> int:
    number, rest = leading_integer(text)
    if number is None:
        number = -1
    else:
        if rest[:1] in ("k", "K"):
            number, rest = number * 1024, rest[1:]
        if rest[:1] in ("m", "M"):
            number, rest = number * 1024**2, rest[1:]
    if rest.strip(BLANKS):
        raise _no_nodes(whole)
    return int32(number)


def _no_nodes(text: str) -> Refusal:
    return Refusal(f"{text!r} is no node count; allowed: a number, or LEAST-MOST", rule="bad-nodes")


def show_node_range(least: int, most: int) -> str:
    """Return a node range the way `sbatch -v` prints it."""
    return str(least) if least == most else f"{least}-{most}"


def distribution(text: str, default_plane_size: str | None) -> tuple[str | None, frozenset[str], int | None]:
    """Read a task distribution.

    Args:
        text: such as `block`, `cyclic:block`, `*:*:fcyclic,pack`, `plane=4`.
        default_plane_size: SLURM_DIST_PLANESIZE of the environment.

    Returns:
        The method, `pack` or `nopack` where given, and the plane size.

    Raises:
        Refusal: it is no distribution.
    """
    if text[:5].lower() == "plane":
        size = text.partition("=")[2] if "=" in text else default_plane_size or ""
        number, rest = leading_integer(size)
        if number is None or rest or not 0 < number <= 2**31 - 1:
            raise Refusal(f"{text!r} gives no plane size; write plane=NUMBER", rule="bad-value")
        return "plane", frozenset(), number
    refusal = Refusal(f"{text!r} is no distribution; allowed: {', '.join(sorted(DISTRIBUTIONS))}", rule="bad-value")
    if not text or text.startswith(","):
        raise refusal
    levels_text, _, flag = text.partition(",")
    levels = [level.lower() for level in levels_text.split(":") if level]
    if len(levels) > 3:
        raise refusal
    for index, default in enumerate(("block", "cyclic", levels[1] if len(levels) > 1 else "")):
        if index < len(levels) and levels[index] == "*":
            levels[index] = "cyclic" if default == "*" else default
    method: str | None = ":".join(levels)
    flags = set()
    if method == "hostfile":
        method = "arbitrary"
    if method not in DISTRIBUTIONS:
        flags.add(method)
        method = None
    if flag:
        flags.add(flag.lower())
    if not flags <= {"pack", "nopack"}:
        raise refusal
    return method, frozenset(map(str, flags)), None


def show_distribution(method: str | None, flags: frozenset[str], plane_size: int | None) -> str | None:
    """Return a distribution the way `sbatch -v` prints it (None: it prints nothing)."""
    if method == "plane":
        return f"plane={plane_size}"
    shown = [method] if method else []
    if len(flags) == 1:
        shown += flags
    return ",".join(shown) or None


def node_shape(text: str) -> list[int | None]:
    """Read `SOCKETS[:CORES[:THREADS]]` of --extra-node-info; None stands for "any".

    Raises:
        Refusal: a part is neither a number, a range nor `*`.
    """
    fields = [*text.split(":"), "", ""][:3]
    return [_least_of_range(field, text) for field in fields]


def _least_of_range(field: str, whole: str) -> int | None:
    if not field or field.startswith("*"):
        return None
    least, rest = _scaled(field)
    if (rest and not rest.startswith("-")) or not 0 <= least <= 2**31 - 1:
        raise Refusal(f"{whole!r} is no SOCKETS[:CORES[:THREADS]]", rule="bad-value")
    if not rest:
        return least
    most, rest = _scaled(rest[1:])
    if (rest and not rest.startswith("-")) or not 0 < most <= 2**31 - 1:
        raise Refusal(f"{whole!r} is no SOCKETS[:CORES[:THREADS]]", rule="bad-value")
    return None if least == 1 and most == 2**31 - 1 else least


def _scaled(text: str) -> tuple[int, str]:
    number, rest = leading_integer(text)
    number = number or 0
    if rest[:1] in ("k", "K"):
        return min(number * 1024, LONG_MAX), rest[1:]
    if rest[:1] in ("m", "M"):
        return min(number * 1024**2, LONG_MAX), rest[1:]
    return number, rest
