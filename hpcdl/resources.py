"""The folders that come with hpcdl: templates/ (batch scripts), envs/ (site profiles) and jobs/ (job files)."""

from pathlib import Path


def folder(name: str) -> Path:
    """Return the folder `name` ("templates", "envs" or "jobs") as it came with hpcdl.

    In a checkout `hpcdl/NAME` is a link to the folder at the top level, in an installed wheel it is a copy: one path
    serves both. A user's own folder is looked at before this one by those who ask.
    """
    return Path(__file__).parent / name
