"""hpcdl: deep-learning batch jobs for Slurm clusters, from one job file to a result table."""

__version__ = "0.1.0"
