"""A data set of the user's own: `data: package.module:function`, a function that returns a Dataset."""

import os
import re
import sys

from hpcdl.data import Data
from hpcdl.errors import DataError, JobFileError
from hpcdl.train.data.dataset import Dataset
from hpcdl.train.functions import find_function, place_of

OWN = re.compile(r"(\w+(?:\.\w+)*):(\w+)")


def is_own(name: str) -> bool:
    """Whether a name is that of a function."""
    return OWN.fullmatch(name) is not None


def load_own(data: Data) -> Dataset:
    """Call the function with the job file's `arguments:` and return what it returns.

    The module is looked for where Python looks, and in the working folder; a rank looks beside the job file too.

    Raises:
        DataError: there is no such function, it raises, or what it returns is no Dataset.
    """
    others = sorted(set(data.options) - {"arguments"})
    if others:
        raise DataError(f"train.data.{others[0]}: a function of your own takes its options as `arguments:`.")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        function = find_function("train.data", data.name)
    except JobFileError as fault:
        raise DataError(str(fault)) from fault
    try:
        made = function(**(data.arguments or {}))
    except DataError:
        raise
    except Exception as fault:
        raise DataError(f"train.data: {data.name} failed at {place_of(fault, function.__module__)}.") from fault
    if not isinstance(made, Dataset):
        raise DataError(f"train.data: {data.name} returned a {type(made).__name__}, not a hpcdl.train.data.Dataset.")
    return made.check()
