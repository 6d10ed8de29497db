"""Which records a table has, in what order, with which columns: `--where`, `--sort`, `--columns`.

A condition is read by a grammar of its own and never evaluated as code:

    condition  = both { "or" both }
    both       = single { "and" single }
    single     = "not" single | "(" condition ")" | COLUMN OPERATOR VALUE
    OPERATOR   = "==" | "=" | "!=" | "<" | "<=" | ">" | ">=" | "~"        (~: contains, whatever the case)
    VALUE      = number | text | "text" | 'text' | none | true | false | COLUMN
"""

import difflib
import math
import operator
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any, NoReturn

from hpcdl.collector.columns import harmless
from hpcdl.collector.records import Record
from hpcdl.errors import CollectError

Condition = Callable[[dict[str, Any]], bool]

TOKEN = re.compile(
    r"\s*(?:(?P<operator><=|>=|==|!=|=|<|>|~)|(?P<bracket>[()])|(?P<text>\"[^\"]*\"|'[^']*')|(?P<quoted>`[^`]*`)"
    r"|(?P<word>[^\s()<>=!~\"'`]+)|(?P<other>\S))"
)
ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
WORDS = {"none": None, "true": True, "false": False}
DEEPEST = 50
LONGEST = 2000
EXAMPLE = 'write one such as "ranks >= 2 and outcome != completed"'


def where(text: str, columns: Collection[str]) -> Condition:
    """Return the condition that `text` states on a record's values; see the grammar above.

    A comparison with a value that is not known is false, but `COLUMN == none` is true of it, and `COLUMN != VALUE`.

    Raises:
        CollectError: the text is no condition, or names a column that is not there.
    """
    return _Parser(text, columns).whole()


class _Parser:
    """Reads one condition from left to right."""

    def __init__(self, text: str, columns: Collection[str]):
        self._text, self._columns = text, columns
        if len(text) > LONGEST:
            self._fail(f"is longer than {LONGEST} characters")
        self._tokens = [(str(match.lastgroup), match[match.lastgroup or 0]) for match in TOKEN.finditer(text.strip())]
        self._depth = 0

    def whole(self) -> Condition:
        condition = self._condition()
        if self._tokens:
            self._fail(f"goes on with {self._tokens[0][1]!r} after its end")
        return condition

    def _condition(self) -> Condition:
        parts = [self._both()]
        while self._took("or"):
            parts.append(self._both())
        return lambda values: any(part(values) for part in parts)

    def _both(self) -> Condition:
        parts = [self._single()]
        while self._took("and"):
            parts.append(self._single())
        return lambda values: all(part(values) for part in parts)

    def _single(self) -> Condition:
        self._depth += 1
        if self._depth > DEEPEST:
            self._fail(f"is nested deeper than {DEEPEST}")
        if self._took("not"):
            negated = self._single()
            condition: Condition = lambda values: not negated(values)  # noqa: E731
        elif self._took("("):
            condition = self._condition()
            if not self._took(")"):
                self._fail("lacks a )")
        else:
            condition = self._comparison()
        self._depth -= 1
        return condition

    def _comparison(self) -> Condition:
        kind, name = self._next("a column")
        if kind not in ("word", "quoted"):
            self._fail(f"has {name!r} where a column is due")
        column = known(name.strip("`"), self._columns, "--where")
        kind, sign = self._next("one of == != < <= > >= ~")
        if kind != "operator":
            self._fail(f"has {sign!r} after {column}, where one of == != < <= > >= ~ is due")
        kind, word = self._next("a value")
        if kind not in ("text", "word", "quoted"):
            self._fail(f"has {word!r} where a value is due")
        if kind == "quoted" or (kind == "word" and word in self._columns):
            other = known(word.strip("`"), self._columns, "--where")
            return lambda values: _holds(values.get(column), sign, values.get(other))
        if kind == "text":
            value: Any = word[1:-1]
        else:
            value = WORDS[word.lower()] if word.lower() in WORDS else _number(word, word)
        if sign in ORDERS and not _is_number(value):
            self._fail(f"compares {column} by {sign} with {word}, which is no number")
        return lambda values: _holds(values.get(column), sign, value)

    def _took(self, word: str) -> bool:
        if self._tokens and self._tokens[0] in (("word", word), ("bracket", word)):
            del self._tokens[0]
            return True
        return False

    def _next(self, due: str) -> tuple[str, str]:
        if not self._tokens:
            self._fail(f"ends where {due} is due")
        return self._tokens.pop(0)

    def _fail(self, what: str) -> NoReturn:
        raise CollectError(f"--where {harmless(self._text[:200])!r} {what}; {EXAMPLE}.")


def _holds(value: Any, sign: str, other: Any) -> bool:
    if sign == "~":
        return value is not None and str(other).casefold() in str(value).casefold()
    if sign in ORDERS:
        return _is_number(value) and _is_number(other) and ORDERS[sign](value, other)
    if isinstance(value, str) and _is_number(other):
        value = _number(value, value)  # job_id == 77: the table has it as text
    return (value == other) is (sign != "!=")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(text: str, otherwise: Any) -> Any:
    try:
        number = float(text)
    except ValueError:
        return otherwise
    return number if math.isfinite(number) else otherwise


def known(name: str, columns: Collection[str], option: str) -> str:
    """Return `name` if it is one of the columns.

    Raises:
        CollectError: it is none; the sentence names the nearest one.
    """
    if name in columns:
        return name
    near = difflib.get_close_matches(name, sorted(columns), n=3, cutoff=0.5)
    help_ = (
        f"did you mean {' or '.join(map(harmless, near))}?"
        if near
        else f"there are {', '.join(map(harmless, columns))}."
    )
    raise CollectError(f"{option}: no column {harmless(name)!r}; {help_}")


def split_names(options: Sequence[str]) -> list[str]:
    """Return the names in options that may be repeated and may hold several, with commas between."""
    return [name.strip() for option in options for name in option.split(",") if name.strip()]


def sort(records: list[Record], keys: Sequence[str], columns: Collection[str]) -> list[Record]:
    """Return the records sorted by columns, the first one counting most; what is not known comes last in any order.

    Args:
        keys: column names; a `-` before one sorts from high to low.
    """
    for key in reversed(keys):
        column = known(key.removeprefix("-"), columns, "--sort")
        there = [record for record in records if record.values.get(column) is not None]
        there.sort(key=lambda record: order(record.values[column]), reverse=key.startswith("-"))
        records = there + [record for record in records if record.values.get(column) is None]
    return records


def order(value: Any) -> tuple[int, float, list[Any]]:
    """Return a sort key for any value: numbers before text, numbers in text as numbers (run-9 before run-10)."""
    if isinstance(value, int | float):
        return (0, float(value), [])
    parts = re.split(r"([0-9]{1,300})", str(value).casefold())
    return (1, 0.0, [int(part) if number % 2 else part for number, part in enumerate(parts)])
