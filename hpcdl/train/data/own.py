"""A data set of the user's own: `data: package.module:function`, a function that returns a Dataset."""

import importlib
import os
import re
import sys

from hpcdl.data import Data
from hpcdl.errors import DataError
from hpcdl.train.data.dataset import Dataset

OWN = re.compile(r"(\w+(?:\.\w+)*):(\w+)")


def is_own(name: str) -> bool:
    """Whether a name is that of a function."""
    return OWN.fullmatch(name) is not None


def load_own(data: Data) -> Dataset:
    """Call the function with the job file's `arguments:` and return what it returns.

    The module is looked for where Python looks, and in the working folder.

    Raises:
        DataError: there is no such function, it raises, or what it returns is no Dataset.
    """
    match = OWN.fullmatch(data.name)
    assert match, data.name
    others = sorted(set(data.options) - {"arguments"})
    if others:
        raise DataError(f"train.data.{others[0]}: a function of your own takes its options as `arguments:`.")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        function = getattr(importlib.import_module(match[1]), match[2])
    except (ImportError, AttributeError) as fault:
        raise DataError(
            f"train.data: {data.name} cannot be imported ({fault}). Put the module on PYTHONPATH, or into the working "
            "folder."
        ) from None
    try:
        made = function(**(data.arguments or {}))
    except DataError:
        raise
    except Exception as fault:
        raise DataError(f"train.data: {data.name} failed ({type(fault).__name__}: {fault}).") from fault
    if not isinstance(made, Dataset):
        raise DataError(f"train.data: {data.name} returned a {type(made).__name__}, not a hpcdl.train.data.Dataset.")
    return made.check()
