"""Waiting for a condition, with a deadline."""

import time
from collections.abc import Callable

from hpcdl.sandbox.errors import SandboxError


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Ask `condition` again and again until it holds.

    Args:
        condition: asked about ten times a second.
        seconds: the deadline.
        what: what is waited for, in words for the error.

    Raises:
        SandboxError: it did not hold in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SandboxError(f"waited {seconds:g} s in vain for {what}.")
        time.sleep(0.1)
