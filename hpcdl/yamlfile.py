"""Reading a YAML file into a checked model, with errors that name file, line, key, what came and what is allowed.

YAML 1.2 (ruamel.yaml): in YAML 1.1 `time: 01:00:00` would be the number 3600 and `no` would be false.
"""

import difflib
import re
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from hpcdl.errors import HpcdlError

LARGEST_FILE_BYTES = 10_000_000  # a job file of more than this is some other file, named by mistake


class Section(BaseModel):
    """A part of a YAML file: unknown keys are refused, values are not silently converted, objects do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


AnySection = TypeVar("AnySection", bound=Section)


def load(path: Path | str, model: type[AnySection], error: type[HpcdlError], overrides: dict[str, Any] | None = None):
    """Read the YAML file at `path` as a `model`.

    Args:
        path: the file.
        model: the class that says what the file may hold.
        error: the class of the error to raise.
        overrides: values that replace the file's, by dotted key: {"train.epochs": 1}.

    Raises:
        error: the file cannot be read, is no YAML, or holds a wrong key or value. One line for each fault.
    """
    tree = _parse(Path(path), error)
    for key, value in (overrides or {}).items():
        _override(tree, key, value, model, error)
    try:
        return model.model_validate(_plain(tree))
    except ValidationError as faults:
        sentences = [_sentence(fault, tree, model) for fault in faults.errors(include_url=False)]
        raise error("\n".join(f"{path}{sentence}" for sentence in sentences)) from None


def parse_value(text: str) -> Any:
    """Return the YAML 1.2 value of a text, as in `--set train.epochs=1`.

    >>> parse_value("1"), parse_value("adam"), parse_value("[1, 2]")
    (1, 'adam', [1, 2])
    """
    return _plain(YAML(typ="rt").load(text))


def _parse(path: Path, error: type[HpcdlError]) -> Any:
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise error(f"{path}: {path.stat().st_size} bytes is no YAML file of ours (at most {LARGEST_FILE_BYTES}).")
        text = path.read_text(encoding="utf-8")
    except OSError as fault:
        raise error(f"{path}: cannot be read ({fault.strerror}). Give the path of a readable YAML file.") from None
    except UnicodeDecodeError as fault:
        raise error(f"{path}: not UTF-8 text (byte {fault.start}). Give the path of a YAML text file.") from None
    try:
        tree = YAML(typ="rt").load(text)
    except MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        where = f":{mark.line + 1}" if mark else ""
        raise error(f"{path}{where}: not valid YAML: {' '.join(str(fault.problem).split())}.") from None
    except (YAMLError, ValueError, RecursionError) as fault:
        raise error(f"{path}: not valid YAML: {' '.join(str(fault).split())}.") from None
    if not isinstance(tree, dict):
        found = "nothing" if tree is None else f"a {type(tree).__name__}"
        raise error(f"{path}: expected `key: value` lines, found {found}.")
    return tree


def _override(tree: Any, dotted: str, value: Any, model: type[BaseModel], error: type[HpcdlError]) -> None:
    *parents, last = dotted.split(".")
    for depth, parent in enumerate(parents):
        if tree.get(parent) is None:
            tree[parent] = {}
        elif isinstance(tree[parent], str) and "name" in _allowed_keys(model, parents[: depth + 1]):
            tree[parent] = {"name": tree[parent]}  # a section that is given by its name alone, as `model: mnist_cnn`
        tree = tree[parent]
        if not isinstance(tree, dict):
            raise error(f"--set {dotted}: '{parent}' is a single value in the file, so nothing can be set below it.")
    tree[last] = value


def _plain(node: Any) -> Any:
    """The tree in plain Python types: ruamel's own carry comments that nobody needs after reading."""
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    for kind in (bool, int, float, str):  # bool first: it is an int
        if isinstance(node, kind):
            return kind(node)
    return node


def _sentence(fault: Any, tree: Any, model: type[BaseModel]) -> str:
    """`:LINE: KEY: what came, what is allowed, the nearest right word` for one of pydantic's faults."""
    location = [part for part in fault["loc"] if not str(part).startswith(("function-", "[key]"))]
    line = _line(tree, location)
    key = ".".join(str(part) for part in location)
    head = f":{line}: {key}" if line else f": {key}"
    if fault["type"] == "extra_forbidden":
        allowed = _allowed_keys(model, location[:-1])
        near = difflib.get_close_matches(str(location[-1]), allowed, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"Allowed here: {', '.join(allowed)}."
        return f"{head}: unknown key. {hint}"
    if fault["type"] == "missing":
        return f"{head}: missing. Add it."
    message = re.sub(r"^(Value error, |\w+ should )", "", fault["msg"])
    if fault["type"] == "value_error":
        return f"{head or ':'}: {message}".replace(": : ", ": ")
    near = difflib.get_close_matches(str(fault["input"]), [str(word) for word in _literals(model, location)], n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return f"{head}: {fault['input']!r} is not allowed; it must {message}.{hint}"


def _line(tree: Any, location: list[Any]) -> int | None:
    """The line, from 1, on which the key at `location` stands; that of its nearest parent when it has none."""
    line = None
    for part in location:
        try:
            line = (tree.lc.key if isinstance(part, str) else tree.lc.item)(part)[0] + 1
            tree = tree[part]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return line


def _field(model: Any, location: list[Any]) -> Any:
    """The annotation of the field at `location`, or None where the path leaves the models."""
    annotation: Any = model
    for part in location:
        if isinstance(part, int):
            continue  # an item of a list: its model is among the arguments of the list's annotation
        models = [kind for kind in (annotation, *get_args(annotation)) if _is_model(kind)]
        field = next((kind.model_fields[part] for kind in models if part in kind.model_fields), None)
        if field is None:
            return None
        annotation = field.annotation
    return annotation


def _allowed_keys(model: Any, location: list[Any]) -> list[str]:
    annotation = _field(model, location)
    return [key for kind in (annotation, *get_args(annotation)) if _is_model(kind) for key in kind.model_fields]


def _literals(model: Any, location: list[Any]) -> list[Any]:
    annotation = _field(model, location)
    words = []
    for kind in (annotation, *get_args(annotation)):
        words += [word for word in get_args(kind) or (kind,) if isinstance(word, str)]
    return words


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
