"""What this rank computes on: its share of the host's cores, or one of the GPUs that it sees."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import tensorflow as tf

from hpcdl.train.world import World

PACKAGES = ("hpcdl", "tensorflow", "keras", "horovod", "mpi4py", "numpy")


def claim_device(us: World) -> str:
    """Take this rank's cores or GPU; call it before TensorFlow computes anything. Collective.

    Where a task sees all GPUs of its node (`--gres=gpu:4`) the local rank picks one; where Slurm shows each task one
    (`--gpus-per-task=1`) that is it.

    Returns:
        What was taken, for people: "GPU 1 of 4 (NVIDIA A100)" or "2 cores".
    """
    cores = sorted(os.sched_getaffinity(0))
    neighbours = [theirs for host, theirs in us.allgather((us.host, cores)) if host == us.host]
    threads = max(1, len(set().union(*neighbours)) // us.local_size)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(2)  # one to compute, one for Horovod's waiting operations
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return f"{threads} core{'s' if threads > 1 else ''}"
    index = us.local_rank % len(gpus)
    tf.config.set_visible_devices(gpus[index], "GPU")
    tf.config.experimental.set_memory_growth(gpus[index], True)
    name = tf.config.experimental.get_device_details(gpus[index]).get("device_name", "GPU")
    return f"GPU {index} of {len(gpus)} ({name})"


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that decide the numbers; 'absent' for one that is not installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    if found["tensorflow"] == "absent":  # installed as tensorflow-cpu
        found["tensorflow"] = tf.__version__
    return found
