"""Pre-flight: everything that can be known to go wrong before a job waits in the queue.

What sbatch says of a script is `hpcdl.slurm.lint`; here is what depends on the site, this machine and Slurm's state.
"""
