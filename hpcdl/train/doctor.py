"""What this environment's packages are and do. Run in processes of its own by `hpcdl.doctor`: an import may crash.

`python -m hpcdl.train.doctor trainer` and `... mpi` import them; `... ranks`, started by mpirun, sums over the ranks.
Each prints one line, REPORT and a JSON object, among whatever else the libraries print.
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
DISTRIBUTIONS = {"tensorflow": ("tensorflow", "tensorflow-cpu")}


def trainer() -> dict[str, Any]:
    """Import TensorFlow, Keras and Horovod and return what they say of themselves.

    Returns:
        packages: {name: {version, file, error}}, the error as text where the import failed.
        keras_backend, cuda_built, kernels (whether hpcdl's own are compiled), gpus (list of device names), horovod
        ({mpi, nccl} it was compiled with); what could not be had is missing.
        libmpi: the paths of the MPI libraries that are loaded now.
    """
    packages = {name: _import(name) for name in ("tensorflow", "keras", "horovod")}
    report: dict[str, Any] = {"packages": packages}
    if not packages["keras"]["error"]:
        report["keras_backend"] = importlib.import_module("keras").backend.backend()
    if not packages["tensorflow"]["error"]:
        tf = importlib.import_module("tensorflow")
        report["cuda_built"] = tf.test.is_built_with_cuda()
        report["kernels"] = importlib.import_module("hpcdl.train.kernels.operations").compiled_here()
        report["gpus"] = [device.name for device in tf.config.list_physical_devices("GPU")]
    if not packages["horovod"]["error"]:
        hvd = importlib.import_module("horovod.tensorflow")
        report["horovod"] = {"mpi": bool(hvd.mpi_built()), "nccl": bool(hvd.nccl_built())}
    report["libmpi"] = loaded_libmpi(_maps())
    return report


def mpi() -> dict[str, Any]:
    """Import mpi4py, apart from Horovod: of two MPI libraries of one name, the first that a process loads serves both.

    Returns:
        packages and libmpi as in `trainer`; library: the name and version of the MPI library.
    """
    report: dict[str, Any] = {"packages": {"mpi4py": _import("mpi4py")}}
    if not report["packages"]["mpi4py"]["error"]:
        # Open MPI: "Open MPI v5.0.11, package: ..."; MPICH: "MPICH Version:\t4.2\nMPICH Release date: ..."
        said = importlib.import_module("mpi4py.MPI").Get_library_version().strip("\0\n ")
        report["library"] = " ".join(said.splitlines()[0].split(",")[0].split())
    report["libmpi"] = loaded_libmpi(_maps())
    return report


def _maps() -> str:
    return Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")


def _import(name: str) -> dict[str, str | None]:
    """Import the package `name` with its compiled part; return version, file and error, None where not had."""
    about: dict[str, str | None] = {"version": None, "file": None, "error": None}
    try:
        if name == "mpi4py":
            # The version and the library can be asked for without MPI_Init, which some sites allow in a job only.
            importlib.import_module("mpi4py").rc.initialize = False
        module = importlib.import_module({"horovod": "horovod.tensorflow", "mpi4py": "mpi4py.MPI"}.get(name, name))
        about["file"] = module.__file__
    except Exception as error:  # whatever a broken package raises is the finding
        about["error"] = " ".join([f"{type(error).__name__}:", *str(error).split()])
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
    result = {"trainer": trainer, "mpi": mpi, "ranks": ranks}[sys.argv[1]]()
    if result is not None:
        print(f"\n{REPORT} {json.dumps(result)}", flush=True)
