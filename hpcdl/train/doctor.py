"""What this environment's packages are and do. Run in processes of its own by `hpcdl.doctor`: an import may crash.

`python -m hpcdl.train.doctor packages` imports them; `python -m hpcdl.train.doctor ranks`, started by mpirun, sums
over the ranks. Both print one line, REPORT and a JSON object, among whatever else the libraries print.
"""

import importlib
import importlib.metadata
import json
import re
import socket
import sys
from pathlib import Path
from typing import Any

REPORT = "hpcdl-doctor:"
PACKAGES = ("tensorflow", "keras", "horovod", "mpi4py")
DISTRIBUTIONS = {"tensorflow": ("tensorflow", "tensorflow-cpu")}


def packages() -> dict[str, Any]:
    """Import the trainer's packages and return what they say of themselves.

    Returns:
        packages: {name: {version, file, error}}, the error as text where the import failed.
        keras_backend, mpi_library (the first line of its version), cuda_built, gpus (list of device names).
        horovod: {mpi, nccl} it was compiled with.
        libmpi: the paths of the MPI libraries that are loaded now.
        Values that could not be had are missing.
    """
    report: dict[str, Any] = {"packages": {name: _import(name) for name in PACKAGES}}
    failed = {name for name, about in report["packages"].items() if about["error"]}
    if "keras" not in failed:
        report["keras_backend"] = importlib.import_module("keras").backend.backend()
    if "tensorflow" not in failed:
        tf = importlib.import_module("tensorflow")
        report["cuda_built"] = tf.test.is_built_with_cuda()
        report["gpus"] = [device.name for device in tf.config.list_physical_devices("GPU")]
    if "horovod" not in failed:
        hvd = importlib.import_module("horovod.tensorflow")
        report["horovod"] = {"mpi": bool(hvd.mpi_built()), "nccl": bool(hvd.nccl_built())}
    if "mpi4py" not in failed:
        mpi = importlib.import_module("mpi4py.MPI")
        report["mpi_library"] = mpi.Get_library_version().strip("\0\n ").split(",")[0].splitlines()[0]
    report["libmpi"] = loaded_libmpi(Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace"))
    return report


def _import(name: str) -> dict[str, str | None]:
    """Import the package `name` with its compiled part; return version, file and error, None where not had."""
    about: dict[str, str | None] = {"version": None, "file": None, "error": None}
    try:
        if name == "mpi4py":
            # The version and the library can be asked for without MPI_Init, which some sites allow in a job only.
            importlib.import_module("mpi4py").rc.initialize = False
        # horovod.tensorflow loads Horovod's own library. It comes before mpi4py.MPI in PACKAGES: the other way round,
        # a Horovod that links another MPI of the same name would be given mpi4py's, and the fault would stay hidden.
        module = importlib.import_module({"horovod": "horovod.tensorflow", "mpi4py": "mpi4py.MPI"}.get(name, name))
        about["file"] = module.__file__
    except Exception as error:  # whatever a broken package raises is the finding
        about["error"] = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
    for distribution in DISTRIBUTIONS.get(name, (name,)):
        try:
            about["version"] = importlib.metadata.version(distribution)
            break
        except importlib.metadata.PackageNotFoundError:
            continue
    return about


def loaded_libmpi(maps: str) -> list[str]:
    """Return the paths of the MPI libraries named in `maps`, the text of /proc/PID/maps, each once and sorted."""
    # libmpi.so.40 (Open MPI), libmpi.so.12 and libmpich.so (MPICH and its kin), libmpi_cray.so; not libmpi_cxx or
    # libmpi_mpifh, which belong to one of these.
    return sorted(set(re.findall(r"(/\S*/libmpi(?:ch|_cray|_gnu\w*)?\.so[.\d]*)$", maps, re.MULTILINE)))


def ranks() -> dict[str, Any] | None:
    """Sum over the ranks once with Horovod and once with mpi4py.

    Returns:
        On rank 0: size and sum of Horovod (the sum of rank + 1 over all ranks) and of MPI, thread_level (MPI's word),
        hosts (one name a rank). On the others None.
    """
    import horovod.tensorflow as hvd
    import tensorflow as tf
    from mpi4py import MPI

    hvd.init()
    comm = MPI.COMM_WORLD
    # On the CPU: two ranks of this check may share one GPU, which NCCL refuses.
    with tf.device("/CPU:0"):
        horovod_sum = hvd.allreduce(tf.constant(float(hvd.rank() + 1)), op=hvd.Sum, name="hpcdl_doctor")
    mpi_sum = comm.allreduce(comm.rank + 1)
    hosts = comm.gather(socket.gethostname())
    levels = {
        MPI.THREAD_SINGLE: "MPI_THREAD_SINGLE",
        MPI.THREAD_FUNNELED: "MPI_THREAD_FUNNELED",
        MPI.THREAD_SERIALIZED: "MPI_THREAD_SERIALIZED",
        MPI.THREAD_MULTIPLE: "MPI_THREAD_MULTIPLE",
    }
    if hvd.rank() != 0:
        return None
    return {
        "horovod": {"size": hvd.size(), "sum": float(horovod_sum)},
        "mpi": {"size": comm.size, "sum": mpi_sum},
        "thread_level": levels[MPI.Query_thread()],
        "hosts": hosts,
    }


if __name__ == "__main__":
    result = {"packages": packages, "ranks": ranks}[sys.argv[1]]()
    if result is not None:
        print(f"\n{REPORT} {json.dumps(result)}", flush=True)
