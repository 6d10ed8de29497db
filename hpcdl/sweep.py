"""Many runs from one job file: the points of a parameter sweep, which become one job array."""

import itertools
from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from hpcdl.values import Positive
from hpcdl.yamlfile import Section

Point = dict[str, Any]
"""The values of one run: of a training by dotted key, {"train.optimizer.learning_rate": 0.002}, of a command by
variable, {"learning_rate": 0.002}."""


class Sweep(Section):
    """The `sweep:` section of a job file. Where more than one of grid, zip and points is given, all are combined."""

    grid: dict[str, list[Any]] = Field(default={})
    """Lists of values by key; every combination is a point, the last key changing fastest."""
    zip: dict[str, list[Any]] = Field(default={})
    """Lists of one length by key; the first values together are a point, then the second ones, ..."""
    points: list[Point] = Field(default=[])
    """Points one by one."""
    exclude: list[Point] = Field(default=[])
    """Points to leave out: all that have these values, whatever their others are."""
    throttle: Positive | None = None
    """How many of them run at the same time at most; None leaves it to the scheduler."""

    def keys(self) -> list[str]:
        """Return what differs between the points, in the order of the file."""
        return list(dict.fromkeys(key for point in self._combined() for key in point))

    def all_points(self) -> list[Point]:
        """Return the points in the order of their numbers, which count from 0.

        >>> Sweep(grid={"train.seed": [1, 2], "train.epochs": [5, 9]}, exclude=[{"train.epochs": 9}]).all_points()
        [{'train.seed': 1, 'train.epochs': 5}, {'train.seed': 2, 'train.epochs': 5}]
        """
        return [point for point in self._combined() if not any(_has(point, values) for values in self.exclude)]

    def _combined(self) -> list[Point]:
        grid = [dict(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values())]
        side_by_side = [dict(zip(self.zip, values, strict=True)) for values in zip(*self.zip.values(), strict=True)]
        parts = itertools.product(grid, side_by_side or [{}], self.points or [{}])
        return [first | second | third for first, second, third in parts]

    @model_validator(mode="after")
    def _can_be_done(self) -> "Sweep":
        groups = [set(self.grid), set(self.zip), {key for point in self.points for key in point}]
        if not any(groups):
            raise ValueError("nothing to sweep; give `grid:`, `zip:` or `points:` with keys such as train.batch_size.")
        for key in set().union(*groups):
            if sum(key in group for group in groups) > 1:
                raise ValueError(f"{key}: stands in more than one of grid, zip and points; give it once.")
        lengths = {key: len(values) for key, values in self.zip.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"zip: the lists differ in length ({_listed(lengths)}); give as many values of each.")
        for key, values in (self.grid | self.zip).items():
            if not values:
                raise ValueError(f"{key}: an empty list has no points; give a value.")
        for excluded in self.exclude:
            if not any(_has(point, excluded) for point in self._combined()):
                raise ValueError(f"exclude: no point has {_listed(excluded)}; correct it or leave it out.")
        if not self.all_points():
            raise ValueError("exclude: leaves no point.")
        return self


def _has(point: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    return all(key in point and point[key] == value for key, value in values.items())


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())
