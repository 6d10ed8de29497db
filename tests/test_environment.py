"""envs/setup.sh: what it decides, what it refuses before any work, and how it survives interruption.

The flow runs against a stand-in for Python that answers in milliseconds and notes what it was asked to do. That the
real packages install and compile is shown by `make test` itself, which runs envs/setup.sh before these tests.
"""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import IO

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
# All that envs/setup.sh itself needs of a machine; compilers, MPI and Python come on top where a test says so.
TOOLS = (
    "bash awk basename cat chmod cp cut date df dirname env find flock getconf grep head ls mkdir mktemp mv nproc "
    "readlink rm rmdir sed sha256sum sleep sort tail tar touch tr uname"
).split()

# Notes each call in $CALLS, then acts: `-m venv` makes an environment of the stand-in itself.
STAND_IN = r"""#!/usr/bin/env bash
echo "$*" >>"$CALLS"
case "$*" in
    *_base_executable*) printf '%s\n' "$STAND_IN" 3.12.0 cp312 ;;
    *get_path*) echo /nowhere/include/python3.12 ;;
    *zipfile*) exec "$REAL_PYTHON" "$@" ;;
    "-m venv "*)
        mkdir -p "$3/bin"
        cp "$STAND_IN" "$3/bin/python"
        printf '#!/usr/bin/env bash\nexit 0\n' >"$3/bin/hpcdl"
        chmod +x "$3/bin/hpcdl"
        ;;
    "-m pip install"*)
        mkdir "$CALLS.busy" 2>/dev/null || echo "TWO AT ONCE" >>"$CALLS"
        if [[ -n ${PAUSE:-} ]]; then read -r _ <"$PAUSE"; fi
        rmdir "$CALLS.busy"
        if [[ -n ${FAIL_WITH:-} ]]; then echo "$FAIL_WITH" >&2; exit 1; fi
        ;;
    "-m hpcdl.train.kernels.compile") exit "${KERNELS_STATUS:-0}" ;;
esac
"""


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(f"#!/usr/bin/env bash\n{text}\n")
    path.chmod(0o755)
    return path


def once_at_work(process: subprocess.Popen[str], pause: Path) -> IO[str]:
    """Wait until the stand-in reads the pipe `pause`, which says that pip is at work; writing to it lets pip go on."""
    while process.poll() is None:
        try:
            return os.fdopen(os.open(pause, os.O_WRONLY | os.O_NONBLOCK), "w")
        except OSError:  # nobody reads yet
            time.sleep(0.01)
    raise AssertionError(f"the set-up ended before pip was called: {process.communicate()}")


class Machine:
    """A PATH and a home of its own, and a copy of what envs/setup.sh reads, with a stand-in for Python."""

    def __init__(self, folder: Path):
        self.path = folder / "bin"
        self.path.mkdir()
        for tool in TOOLS:
            where = shutil.which(tool)
            assert where, f"this machine has no {tool}"
            os.symlink(where, self.path / tool)
        self.checkout = folder / "checkout"
        shutil.copytree(ROOT / "envs", self.checkout / "envs")
        for name in ("setup.cfg", "pyproject.toml"):
            shutil.copy(ROOT / name, self.checkout)
        kernels = Path("hpcdl/train/kernels/kernels.cc")
        (self.checkout / kernels).parent.mkdir(parents=True)
        shutil.copy(ROOT / kernels, self.checkout / kernels)
        self.venv = self.checkout / ".venv"
        self.calls = folder / "calls"
        self.calls.touch()
        self.stand_in = script(folder / "stand-in" / "python", STAND_IN)
        self.environment = {
            "PATH": str(self.path),
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder),
            "CALLS": str(self.calls),
            "STAND_IN": str(self.stand_in),
            "REAL_PYTHON": sys.executable,
            "PYTHON": str(self.stand_in),
        }

    def add(self, *names: str, text: str = "exit 0") -> None:
        for name in names:
            script(self.path / name, text)

    def start(self, *args: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", self.checkout / "envs/setup.sh", *args],
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def setup(self, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*args, **environment)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def plan(self, **environment: str) -> dict[str, str]:
        done = self.setup("--print", **environment)
        assert done.returncode == 0, done.stderr
        pairs = [line.split(":", 1) for line in done.stdout.splitlines() if not line.startswith(" ")]
        return {key: value.strip() for key, value in pairs}

    def switches(self, **environment: str) -> set[str]:
        printed = self.setup("--print", **environment).stdout
        return {line.strip() for line in printed.splitlines() if line.startswith(" ")}

    def cache_wheel(self, name: str = "horovod", **environment: str) -> Path:
        """Put a whole wheel into the cache, as an earlier call would have left it."""
        wheel = Path(self.plan(**environment)["wheels"]) / f"{name}-1-py3-none-any.whl"
        wheel.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel, "w") as file:
            file.writestr(f"{name}.py", "content = 1\n" * 100)
        return wheel

    def pip_calls(self) -> list[str]:
        return [call for call in self.calls.read_text().splitlines() if call.startswith("-m pip")]

    def refusal(self, **environment: str) -> str:
        """Run the set-up, expect exit code 2 and nothing made; return the message."""
        done = self.setup(**environment)
        assert done.returncode == 2, done.stdout + done.stderr
        assert done.stderr.startswith("error: ")
        assert self.pip_calls() == []
        assert not self.venv.exists()
        return done.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


class TestWhatIsMissingIsSaidBeforeTheWork:
    def test_no_compiler(self, machine):
        message = machine.refusal()
        assert "no C++ compiler (looked for c++, g++ and clang++)" in message
        assert "module load GCC" in message
        assert "apt install g++" in message

    def test_a_compiler_too_old(self, machine):
        machine.add("g++", text='case "$*" in -dumpversion) echo 4.8.5 ;; *) exit 1 ;; esac')
        message = machine.refusal()
        assert "g++ (4.8.5) cannot compile C++17" in message
        assert "load GCC 9 or newer" in message

    def test_a_second_compiler_may_do(self, machine):
        machine.add("c++", text="exit 1")
        machine.add("g++")
        assert "make is missing" in machine.refusal()

    def test_no_make(self, machine):
        machine.add("c++")
        message = machine.refusal()
        assert "make is missing" in message
        assert "apt install make" in message

    def test_no_python(self, machine):
        message = machine.refusal(PYTHON="")
        assert "no Python 3.10 to 3.13 on PATH (python3 is: none)" in message
        assert "module load Python" in message

    @pytest.mark.parametrize("version", ["3.9.18", "3.14.0"])
    def test_another_python(self, machine, version):
        machine.add("python3", text=f'[[ $1 == --version ]] && echo "Python {version}" || exit 1')
        assert f"(python3 is: Python {version})" in machine.refusal(PYTHON="")
        message = machine.refusal(PYTHON="python3")
        assert f"PYTHON=python3 is Python {version}; hpcdl needs Python 3.10 to 3.13" in message

    def test_python_without_venv(self, machine):
        machine.cache_wheel()
        script(machine.stand_in, STAND_IN.replace("*get_path*", "*ensurepip*) exit 1 ;;\n    *get_path*"))
        message = machine.refusal()
        assert "has no module venv or ensurepip" in message
        assert "apt install python3-venv" in message

    @pytest.mark.parametrize("missing", ["mpicc", "mpicxx", "mpirun"])
    def test_site_mpi(self, machine, missing):
        machine.add(*{"mpicc", "mpicxx", "mpirun"} - {missing})
        message = machine.refusal(MPI="site")
        assert f"MPI=site, but {missing} is not on PATH" in message
        assert "module load OpenMPI" in message

    def test_python_headers_for_the_site_mpi(self, machine):
        machine.add("c++", "make", "mpicc", "mpicxx", "mpirun")
        message = machine.refusal(MPI="site")
        assert "Python.h" in message
        assert "apt install python3-dev" in message

    def test_nvcc(self, machine):
        message = machine.refusal(GPU="nccl")
        assert "GPU=nccl, but nvcc is not on PATH" in message
        assert "module load CUDA" in message

    def test_nccl(self, machine, tmp_path):
        script(tmp_path / "cuda/bin/nvcc", "exit 0")
        message = machine.refusal(GPU="nccl", CUDA_HOME=str(tmp_path / "cuda"))
        assert "GPU=nccl, but nccl.h is missing" in message
        assert "module load NCCL" in message

    def test_disk_space(self, machine):
        machine.cache_wheel()
        machine.add("df", text="echo head; echo disk 9 9 2097152 9% /")
        message = machine.refusal()
        assert "has 2 GiB free" in message
        assert "needs 4 GiB" in message

    @pytest.mark.parametrize(
        ("name", "value", "allowed"), [("MPI", "mpich", "pypi or site"), ("GPU", "1", "none or nccl")]
    )
    def test_unknown_choice(self, machine, name, value, allowed):
        message = machine.refusal(**{name: value})
        assert f"{name}={value} is not known" in message
        assert allowed in message

    def test_a_path_with_a_space(self, machine, tmp_path):
        message = machine.refusal(VENV=str(tmp_path / "my environment"))
        assert "my environment has a space" in message
        assert "VENV=DIR" in message

    def test_unknown_argument(self, machine):
        done = machine.setup("--help-me")
        assert (done.returncode, done.stdout) == (2, "")
        assert "unknown argument --help-me" in done.stderr

    def test_a_folder_of_somebody_else_is_left_alone(self, machine):
        mine = machine.venv / "mine.txt"
        mine.parent.mkdir()
        mine.write_text("precious")
        done = machine.setup()
        assert done.returncode == 2
        assert "was not made by envs/setup.sh" in done.stderr
        assert mine.read_text() == "precious"


class TestThePlan:
    def test_a_laptop(self, machine):
        plan, switches = machine.plan(), machine.switches()
        assert (plan["mpi"], plan["gpu"]) == ("pypi", "none")
        assert plan["packages"] == "hpcdl[train,build,report,search,test,mpi] -c envs/constraints.txt"
        assert {"HOROVOD_WITH_MPI=1", "HOROVOD_WITHOUT_GLOO=1", "HOROVOD_WITH_TENSORFLOW=1"} <= switches
        # The wheel must find the libmpi of whichever environment it is installed in.
        assert "LDFLAGS=-Wl,--disable-new-dtags,-rpath,'$ORIGIN/../../../..'" in switches
        assert not [switch for switch in switches if "GPU" in switch or "NCCL" in switch]

    def test_the_site_mpi(self, machine):
        machine.add("mpicxx", "mpirun")
        machine.add("mpicc", text="echo gcc -I/opt/openmpi/include")
        plan = machine.plan(MPI="site")
        assert plan["packages"] == "hpcdl[train,build,report,search,test] -c envs/constraints.txt"
        assert not [switch for switch in machine.switches(MPI="site") if "rpath" in switch]
        # Another MPI module, another wheel.
        machine.add("mpicc", text="echo gcc -I/opt/another/include")
        assert machine.plan(MPI="site")["wheels"] != plan["wheels"]
        assert machine.plan(MPI="pypi")["wheels"] != plan["wheels"]

    def test_gpus(self, machine, tmp_path):
        script(tmp_path / "cuda/bin/nvcc", "echo release 12.9")
        header = tmp_path / "nccl/include/nccl.h"
        header.parent.mkdir(parents=True)
        header.write_text("#define NCCL_VERSION_CODE 22703\n")
        modules = {"GPU": "nccl", "EBROOTCUDA": str(tmp_path / "cuda"), "EBROOTNCCL": str(tmp_path / "nccl")}
        plan = machine.plan(**modules)
        assert plan["packages"] == "hpcdl[train-gpu,build,report,search,test,mpi] -c envs/constraints.txt"
        assert {
            "HOROVOD_GPU=CUDA",
            "HOROVOD_GPU_OPERATIONS=NCCL",
            f"HOROVOD_CUDA_HOME={tmp_path}/cuda",
            f"HOROVOD_NCCL_HOME={tmp_path}/nccl",
        } <= machine.switches(**modules)
        header.write_text("#define NCCL_VERSION_CODE 22800\n")
        assert machine.plan(**modules)["wheels"] != plan["wheels"]

    def test_a_comment_does_not_compile_horovod_again_but_a_switch_does(self, machine):
        recipe = machine.checkout / "envs/horovod.sh"
        before = machine.plan()["wheels"]
        recipe.write_text(recipe.read_text() + "\n# a comment\n")
        assert machine.plan()["wheels"] == before
        recipe.write_text(recipe.read_text().replace("HOROVOD_WITHOUT_GLOO=1", "HOROVOD_WITH_GLOO=1"))
        assert machine.plan()["wheels"] != before


class TestTheFlow:
    def test_first_and_second_call(self, machine):
        wheel = machine.cache_wheel()
        assert machine.plan()["venv"].endswith("(to be made)")
        done = machine.setup()
        assert done.returncode == 0, done.stderr
        calls = machine.pip_calls()
        assert all(f"-c {machine.checkout}/envs/constraints.txt" in call for call in calls[:2])
        assert calls[1].endswith(f"-e {machine.checkout}[train,build,report,search,test,mpi]")
        assert calls[2].endswith(str(wheel))
        for word in ("Make the virtual", "Install TensorFlow", "compiled before", "Ready"):
            assert word in done.stdout
        before = os.times()
        again = machine.setup()
        after = os.times()
        assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
        assert machine.pip_calls() == calls
        # In processor time, which a busy machine stretches less than the time on the clock.
        assert after.children_user + after.children_system - before.children_user - before.children_system < 1
        assert machine.plan()["venv"].endswith("(up to date)")

    def test_kernels_that_cannot_be_compiled_are_no_fault(self, machine):
        machine.cache_wheel()
        done = machine.setup(KERNELS_STATUS="1")
        assert done.returncode == 0, done.stderr
        assert "not compiled, which takes a C++17 compiler (CXX)" in done.stdout
        assert "Ready after" in done.stdout

    def test_the_choices_are_remembered(self, machine):
        machine.add("mpicc", "mpicxx", "mpirun")
        machine.cache_wheel(MPI="site")
        machine.cache_wheel("mpi4py", MPI="site")
        assert machine.setup(MPI="site").returncode == 0
        assert any("mpi4py-1-py3-none-any.whl" in call for call in machine.pip_calls())
        assert machine.plan()["mpi"] == "site"
        assert machine.setup().stdout == ""

    def test_a_change_of_the_lock_needs_pip_only(self, machine):
        machine.cache_wheel()
        machine.setup()
        (machine.venv / "kept").touch()
        with open(machine.checkout / "setup.cfg", "a") as file:
            file.write("# changed\n")
        done = machine.setup()
        assert "Install TensorFlow" in done.stdout
        assert "Make the virtual" not in done.stdout
        assert (machine.venv / "kept").exists()

    def test_an_interrupted_call_is_made_good(self, machine):
        machine.cache_wheel()
        pause = machine.checkout / "pause"
        os.mkfifo(pause)
        process = machine.start(PAUSE=str(pause))
        with once_at_work(process, pause) as go_on:
            process.kill()
            process.communicate()
            (machine.venv / "half-installed").touch()
            go_on.write("\n")
        done = machine.setup()
        assert done.returncode == 0, done.stderr
        assert "Make the virtual" in done.stdout
        assert not (machine.venv / "half-installed").exists()
        assert machine.setup().stdout == ""

    def test_two_calls_at_once_take_turns(self, machine):
        machine.cache_wheel()
        pause = machine.checkout / "pause"
        os.mkfifo(pause)
        first = machine.start(PAUSE=str(pause))
        with once_at_work(first, pause) as go_on:
            second = machine.start()
            assert second.stdout is not None
            assert "waiting for it" in second.stdout.readline()
            script(machine.stand_in, STAND_IN)
            script(machine.venv / "bin/python", STAND_IN.replace("${PAUSE:-}", ""))
            go_on.write("\n")
        assert first.communicate(timeout=60)[1] == ""
        assert second.communicate(timeout=60)[1] == ""
        assert (first.returncode, second.returncode) == (0, 0)
        assert "TWO AT ONCE" not in machine.calls.read_text()
        assert len(machine.pip_calls()) == 3  # the second found everything made

    @pytest.mark.parametrize("keep", [0, 0.5, 0.99])
    def test_a_damaged_wheel_is_not_used(self, machine, keep):
        wheel = machine.cache_wheel()
        content = wheel.read_bytes()
        wheel.write_bytes(content[: int(len(content) * keep)])
        assert "no C++ compiler" in machine.refusal()  # it sets out to compile, and there is no compiler here
        assert not wheel.exists()

    def test_a_wheel_with_a_flipped_bit_is_not_used(self, machine):
        wheel = machine.cache_wheel()
        wheel.write_bytes(wheel.read_bytes().replace(b"content = 1", b"content = 2", 1))
        assert "no C++ compiler" in machine.refusal()

    @pytest.mark.parametrize(
        ("said", "cause", "remedy"),
        [
            ("OSError: [Errno 28] No space left on device", "the disk is full", "TMPDIR"),
            ("OSError: [Errno 122] Disk quota exceeded", "your quota is used up", "XDG_CACHE_HOME"),
            ("Temporary failure in name resolution", "the package index could not be reached", "login node"),
            ("x.cc:1:10: fatal error: mpi.h: No such file or directory", "the header mpi.h is missing", "load the"),
            ("c++: fatal error: Killed signal terminated program cc1plus", "out of memory", "JOBS=1"),
            ("CMake Error: Could NOT find MPI (missing: MPI_CXX)", "found no working MPI", "another MPI module"),
            ("something nobody foresaw", "this step failed", "something nobody foresaw"),
        ],
    )
    def test_a_failed_step_is_explained(self, machine, said, cause, remedy):
        machine.cache_wheel()
        done = machine.setup(FAIL_WITH=said)
        assert done.returncode == 2
        assert cause in done.stderr
        assert remedy in done.stderr
        assert "Ready" not in done.stdout
        assert "Make the virtual" in machine.setup().stdout  # the next call starts over


def test_without_a_network_the_real_pip_is_explained(machine):
    """The real Python and pip, with an index at a port where nobody listens."""
    machine.cache_wheel(PYTHON=sys.executable)
    done = machine.setup(
        PYTHON=sys.executable,
        PIP_INDEX_URL="http://127.0.0.1:9/simple",
        PIP_CONFIG_FILE=os.devnull,
        PIP_NO_CACHE_DIR="1",
    )
    assert done.returncode == 2, done.stdout
    assert "the package index could not be reached" in done.stderr
    assert "PIP_INDEX_URL" in done.stderr


def test_every_installed_package_is_at_the_version_of_the_lock():
    lines = (ROOT / "envs/constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    pinned = {pin.name: str(pin.specifier) for pin in pins if pin.marker is None or pin.marker.evaluate()}
    wrong = {}
    for distribution in importlib.metadata.distributions():
        name = canonicalize_name(distribution.name)
        # Horovod's version and the checksum of its source are in envs/horovod.sh.
        if name not in {"hpcdl", "horovod"} and pinned.get(name) != f"=={distribution.version}":
            wrong[name] = (distribution.version, pinned.get(name))
    assert wrong == {}
