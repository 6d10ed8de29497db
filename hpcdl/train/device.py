"""What this rank computes on: its share of the host's cores, or one of the GPUs that it sees."""

import os
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

import tensorflow as tf

from hpcdl.train.world import World, WorldError

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
    if us.local_size > 1 and all(theirs == cores for theirs in neighbours) and len(cores) >= us.local_size:
        stay_on(own_cores(cores, us.local_rank, threads))
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(2)  # one to compute, one for Horovod's waiting operations
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return f"{threads} core{'s' if threads > 1 else ''}"
    index = choose_gpu(us.local_rank, len(gpus))
    tf.config.set_visible_devices(gpus[index], "GPU")
    tf.config.experimental.set_memory_growth(gpus[index], True)
    name = tf.config.experimental.get_device_details(gpus[index]).get("device_name", "GPU")
    return f"GPU {index} of {len(gpus)} ({name})"


def own_cores(cores: list[int], local_rank: int, threads: int) -> list[int]:
    """Return a rank's share of the cores that all ranks of its host may use."""
    return cores[local_rank * threads : (local_rank + 1) * threads]


def stay_on(cores: list[int]) -> None:
    """Keep all threads of this process, and those that they start, on these cores.

    A launcher that binds does it. Where none does, Linux moves the ranks' threads from core to core, for some of the
    speed where steps are short (docs/profile.md).
    """
    for thread in os.listdir("/proc/self/task"):
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.sched_setaffinity(int(thread), cores)


def choose_gpu(local_rank: int, visible: int) -> int:
    """Return the index of a rank's GPU among those that it sees: all of its node, or its own alone."""
    return local_rank % visible


def check_gpus(us: World, asked: int) -> str | None:
    """Check that the GPUs that the job asks for are there. Collective.

    Args:
        asked: GPUs on each node.

    Returns:
        A notice for people where a job that asks for GPUs computes on cores: on a machine without Slurm, or with a
        TensorFlow that is built for cores alone.

    Raises:
        WorldError: on all ranks: see `gpu_fault`.
    """
    seen = us.allgather((us.host, len(tf.config.list_physical_devices("GPU")), os.environ.get("CUDA_VISIBLE_DEVICES")))
    in_job = "SLURM_JOB_ID" in os.environ and tf.test.is_built_with_cuda()
    if fault := us.broadcast(gpu_fault(seen, asked, in_job)):
        raise WorldError(fault)
    if asked and not seen[us.rank][1]:
        return f"The job asks for {asked} GPUs on each node, but TensorFlow sees none here: it computes on the cores."
    return None


def gpu_fault(seen: list[tuple[str, int, str | None]], asked: int, in_job: bool) -> str | None:
    """Say which rank lacks a GPU, None when all have what they should.

    Args:
        seen: of each rank its host, the number of GPUs that it sees, and its CUDA_VISIBLE_DEVICES.
        asked: GPUs on each node that the job asks for.
        in_job: whether the ranks are in a job of Slurm, with a TensorFlow that can use GPUs: then asking for GPUs and
            having none is a fault. That some ranks have one and others none always is.
    """
    without = [rank for rank, (_, gpus, _) in enumerate(seen) if not gpus]
    if not without or (len(without) == len(seen) and not (asked and in_job)):
        return None
    host, _, visible = seen[without[0]]
    more = f" ({len(without)} of {len(seen)} ranks see none)" if len(without) > 1 else ""
    shown = "not set" if visible is None else f"'{visible}'"
    return (
        f"rank {without[0]} on {host} sees no GPU{more}; CUDA_VISIBLE_DEVICES is {shown}. See `nvidia-smi` there; "
        "ask for GPUs on every node of the job."
    )


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
