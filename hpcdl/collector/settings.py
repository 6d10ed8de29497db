"""What a job says, as flat values: to group runs by, to tell which runs repeat another, to see what differs."""

import json
from collections.abc import Mapping
from typing import Any

RESULTS_DO_NOT_HANG_ON = ("name", "expect", "sweep")
"""Keys of a job file that do not say what is run."""

SEEDS = ("train.seed", "train.data.seed")
"""Keys in which the repeats of a job may differ: of the training, and of the examples that it draws or renders."""


def flat(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a job by dotted key, those that are not given left out.

    The job comes from a file that may have been changed by anyone: what it says need not be a job.

    >>> flat({"name": "x", "train": {"optimizer": {"name": "adam", "momentum": None}}, "command": ["a", "b"]})
    {'train.optimizer.name': 'adam', 'command': '["a", "b"]'}
    """
    values: dict[str, Any] = {}
    try:
        for key, value in job.items():
            if key not in RESULTS_DO_NOT_HANG_ON:
                _flatten(str(key), value, values)
    except RecursionError:
        return {}  # nested deeper than any job is
    return values


def _flatten(key: str, value: Any, values: dict[str, Any]) -> None:
    if isinstance(value, Mapping):
        for name, item in value.items():
            _flatten(f"{key}.{name}", item, values)
    elif isinstance(value, list):
        values[key] = json.dumps(value)
    elif value is not None:
        values[key] = value
