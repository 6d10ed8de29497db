"""hpcdl: deep-learning batch jobs for Slurm clusters, from one job file to a result table."""

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Load `hpcdl.collect` when it is first asked for: it needs more than the command line's start-up."""
    if name == "collect":
        from hpcdl.collector import collect

        return collect
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
