"""A part of a data set: some of its classes, and only so many training examples of each."""

import difflib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hpcdl.errors import DataError
from hpcdl.train.data.dataset import Dataset, Inputs
from hpcdl.train.data.stream import Stream

OPTIONS = ("classes", "per_class")
"""The options of every data set with classes that are done here. `seed` is one as well, where per_class is."""


def select(
    data: Dataset, classes: Sequence[int | str] | None = None, per_class: int | None = None, seed: int | None = None
) -> Dataset:
    """Return the part of a data set that a job asks for; training and test examples stay in their order.

    Args:
        classes: numbers or names; class i of the result is the i-th of them, in training and test. None for all.
        per_class: so many training examples of each class; all test examples stay. None for all.
        seed: which of them are taken: drawn, the same for the same seed; None for the first ones.
    Raises:
        DataError: it has no classes, or not this one, or fewer examples of a class.
    """
    if classes is None and per_class is None:
        return data
    if data.num_classes is None:
        key = "classes" if classes is not None else "per_class"
        raise DataError(f"train.data.{key}: the targets of {data.name} are numbers, not classes. Leave it out.")
    chosen = [_number(data, wanted) for wanted in (range(data.num_classes) if classes is None else classes)]
    if len(set(chosen)) < len(chosen):
        raise DataError(f"train.data.classes: {list(classes or ())} has a class twice. Name each once.")
    names = tuple(data.class_names[number] for number in chosen) if data.class_names else ()
    train, test = (_places(targets, chosen) for targets in (data.train_targets, data.test_targets))
    new_numbers = np.full(data.num_classes, -1, np.int64)
    new_numbers[chosen] = np.arange(len(chosen))
    if per_class is not None:
        train = _few(data, train, chosen, per_class, seed)
    return replace(
        data,
        train_inputs=_rows(data.train_inputs, train),
        train_targets=new_numbers[data.train_targets[train]],
        test_inputs=_rows(data.test_inputs, test),
        test_targets=new_numbers[data.test_targets[test]],
        num_classes=len(chosen),
        class_names=names,
    ).check()


def _number(data: Dataset, wanted: int | str) -> int:
    if isinstance(wanted, str) and wanted in data.class_names:
        return data.class_names.index(wanted)
    if isinstance(wanted, int) and 0 <= wanted < (data.num_classes or 0):
        return wanted
    near = difflib.get_close_matches(str(wanted), data.class_names, n=1)
    named = f" and their names: {', '.join(data.class_names[:20])}" if data.class_names else ""
    hint = f" Did you mean {near[0]}?" if near else f" It has the numbers 0 to {(data.num_classes or 0) - 1}{named}."
    raise DataError(f"train.data.classes: {data.name} has no class {wanted!r}.{hint}")


def _places(targets: np.ndarray, classes: list[int]) -> np.ndarray:
    return np.flatnonzero(np.isin(targets, classes))


def _few(data: Dataset, train: np.ndarray, classes: list[int], per_class: int, seed: int | None) -> np.ndarray:
    """Return `per_class` places of each class among those in `train`, rising."""
    taken = []
    for number in classes:
        there = train[data.train_targets[train] == number]
        if len(there) < per_class:
            name = data.class_names[number] if data.class_names else number
            raise DataError(
                f"train.data.per_class: {data.name} has {len(there)} training examples of class {name}, not "
                f"{per_class}. Ask for fewer."
            )
        if seed is not None:
            there = np.random.default_rng([seed, number]).permutation(there)
        taken.append(there[:per_class])
    return np.sort(np.concatenate(taken))


def _rows(inputs: Inputs, places: np.ndarray) -> Inputs:
    return inputs.take(places) if isinstance(inputs, Stream) else np.ascontiguousarray(inputs[places])
