"""Where the files that come with hpcdl lie."""

from pathlib import Path


def folder(name: str) -> Path:
    """Return the folder `templates`, `envs` or `jobs`: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).parent
    beside = package.parent / name
    return beside if beside.is_dir() else package / name
