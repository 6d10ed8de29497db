"""A user's own functions, by `package.module:function`, and where one of them failed."""

import difflib
import importlib
import sys
import traceback
from collections.abc import Callable
from typing import Any

from hpcdl.errors import JobFileError


def find_function(key: str, place: str) -> Callable[..., Any]:
    """Return a function by `package.module:function`.

    Args:
        key: where the job file names it, for the errors: train.model.
    Raises:
        JobFileError: module or function are not there, or the module cannot be imported.
    """
    module_name, name = place.split(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as fault:
        missing = fault.name if isinstance(fault, ModuleNotFoundError) else None
        if not missing or not f"{module_name}.".startswith(f"{missing}."):
            where = place_of(fault, module_name)
            raise JobFileError(f"{key}: {module_name} cannot be imported: {where}.") from fault
        own = [path for path in sys.path if path and not path.startswith((sys.prefix, sys.base_prefix))]
        folders = ", ".join(dict.fromkeys(own))
        raise JobFileError(
            f"{key}: there is no module {missing} in {folders} or among the installed packages."
        ) from None
    function = getattr(module, name, None)
    if not callable(function):
        names = [known for known, value in vars(module).items() if callable(value)]
        near = difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise JobFileError(f"{key}: {module.__file__} has no function '{name}'.{hint}")
    return function


def place_of(fault: Exception, module_name: str) -> str:
    """`FILE:LINE: TYPE: TEXT` of an exception in one line, the place being the last one in the user's module."""
    frames = traceback.extract_tb(fault.__traceback__)
    file = getattr(sys.modules.get(module_name), "__file__", None)
    frame = next((frame for frame in reversed(frames) if frame.filename == file), frames[-1])
    text = " ".join(str(fault).split()).rstrip(".")
    return f"{frame.filename}:{frame.lineno}: {type(fault).__name__}: {text}"
