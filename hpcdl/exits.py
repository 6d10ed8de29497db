"""The exit codes of hpcdl, one for each cause; what the scheduler, a batch script and `hpcdl collect` see."""

from enum import IntEnum


class Exit(IntEnum):
    """How a command or a run ended. Of a run that a signal ended without hpcdl's doing the code is 128 + the signal."""

    SUCCESS = 0
    FAILED = 1
    """An error that hpcdl does not know, with its traceback; also: `hpcdl check` found what stops the job."""
    BAD_INPUT = 2
    """A job, a site, data or the environment is wrong, or the ranks do not agree: one sentence says which and how."""
    DIVERGED = 3
    """The loss is not a finite number any more."""
    RANK_LOST = 4
    """A rank does not answer any more, or keeps the others waiting."""
    DISK = 5
    """A checkpoint cannot be written: the disk is full, or the folder is not writable."""
    STOPPED = 75
    """A signal stopped the run after a checkpoint: submit it again. (EX_TEMPFAIL of sysexits.h.)"""
