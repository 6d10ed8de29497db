"""A real Slurm on this machine, shaped by a site profile: `hpcdl sandbox`.

Everything lives inside one set of Linux namespaces (mounts, network, processes, host name) that a single process keeps
alive, and every node inside a set of its own within it. So the machine's network, mounts, /etc/hosts and any other
Slurm on it are never touched, sandboxes do not see each other, and ending that one process ends all of it.
"""
