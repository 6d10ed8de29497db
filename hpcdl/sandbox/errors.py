"""What the sandbox raises for its user."""

from hpcdl.errors import HpcdlError


class SandboxError(HpcdlError):
    """The sandbox cannot be had, or a part of it did not come up."""

    exit_code = 1


class SandboxUsageError(HpcdlError):
    """What was asked of the sandbox makes no sense: a wrong name, no sandbox up, no such node."""
