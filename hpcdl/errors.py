"""The errors that hpcdl raises for its user: one clear sentence each, and the exit code that goes with it."""

from hpcdl.exits import Exit


class HpcdlError(Exception):
    """Something a user can put right. The text says where, what came, what is allowed and what to do.

    `hpcdl.cli.main` prints it to standard error as `error: TEXT` and leaves with `exit_code`; no traceback.
    """

    exit_code: int = Exit.BAD_INPUT


class JobFileError(HpcdlError):
    """A job file or a value in it is wrong."""


class SiteError(HpcdlError):
    """A site profile is wrong or unknown, or the site cannot run the job."""


class DataError(HpcdlError):
    """A data set is absent, incomplete or corrupt."""


class RunError(HpcdlError):
    """A run could not be started, or ended badly."""

    exit_code = Exit.FAILED


class CollectError(HpcdlError):
    """What was given to collect holds no run, or is no way to read one."""


class LookError(HpcdlError):
    """What was asked of a trained network, `hpcdl look` or `hpcdl predict-images`, it cannot show."""
