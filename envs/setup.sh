#!/usr/bin/env bash
# Make hpcdl's environment: a Python venv with TensorFlow, MPI, mpi4py, and a Horovod compiled for them. No root needed.
#
# Usage: envs/setup.sh [--print]
#   --print     say what would be made and how, and do nothing
# Choices, as environment variables; a later call without them keeps those the environment was made with:
#   MPI=pypi    PyPI's own Open MPI: nothing to load or install (default)
#   MPI=site    the MPI whose mpicc is on PATH: on a cluster, after loading its module
#   GPU=none    TensorFlow for CPUs (default)
#   GPU=nccl    TensorFlow with CUDA, Horovod with NCCL: after loading CUDA 12 and NCCL
#   PYTHON=...  a Python 3.10 to 3.13 (default: the first that fits on PATH)
#   VENV=DIR    where (default: .venv in the checkout)
#   JOBS=N      compile N files at a time (default: one a core, at most 8; a file takes up to 2 GB of memory)
# A compiled Horovod is kept in ${XDG_CACHE_HOME:-~/.cache}/hpcdl/wheels. A call with nothing to do takes a blink.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
VENV=${VENV:-$root/.venv}
[[ $VENV == /* ]] || VENV=$PWD/$VENV
mark=$VENV/.hpcdl-setup # says what the environment was made from

# shellcheck source=envs/checks.sh
. "$here/checks.sh"
# shellcheck source=envs/horovod.sh
. "$here/horovod.sh"

# Modules and users set these; they would mix other packages into the environment.
unset PYTHONPATH PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV
export PYTHONNOUSERSITE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_RETRIES=${PIP_RETRIES:-2}

pip() { "$VENV/bin/python" -m pip "$@"; }
pinned() { sed -n "s/^$1==\([^ ;]*\).*/\1/p" "$here/constraints.txt" | tail -n 1; }
short_hash() { sha256sum | cut -c1-12; }
marked() { sed -n "s/^$1=//p" "$mark" 2>/dev/null || true; }

step() { # step TITLE COMMAND...: run it with its output in the log; say what runs, and how long it took.
    local title=$1 start=$SECONDS ticker="" status=0
    shift
    printf '%-58s' "$title"
    if [[ -t 1 ]]; then # a person watches: show that time passes
        (while sleep 1; do printf '\r%-58s%4d s' "$title" $((SECONDS - start)); done) &
        ticker=$!
    fi
    # A shell of its own, so that the first command that fails ends the step (set -e is off inside a condition).
    set +e
    (set -e; "$@") >"$log" 2>&1 9<&-
    status=$?
    set -e
    if [[ -n $ticker ]]; then
        kill "$ticker" 2>/dev/null || true
        wait "$ticker" 2>/dev/null || true
        printf '\r%-58s' "$title"
    fi
    if [[ $status -ne 0 ]]; then
        printf ' failed\n'
        explain_failure "$log"
    fi
    printf '%4d s\n' $((SECONDS - start))
}

choose() { # Settle MPI, GPU, the Python and the name of the build.
    MPI=${MPI:-$(marked mpi)} MPI=${MPI:-pypi}
    GPU=${GPU:-$(marked gpu)} GPU=${GPU:-none}
    [[ $VENV != *[[:space:]]* ]] || fail "the path $VENV has a space, which MPI's compilers do not take" "choose another folder with VENV=DIR"
    [[ $MPI == pypi || $MPI == site ]] || fail "MPI=$MPI is not known" "MPI is pypi or site"
    [[ $GPU == none || $GPU == nccl ]] || fail "GPU=$GPU is not known" "GPU is none or nccl"
    find_python
    # The interpreter itself: the venv's own link, or a pyenv shim, would not do to make the venv anew.
    { read -r python; read -r python_version; read -r python_tag; } < <("$python" -c '
import os, platform, sys
print(os.path.realpath(sys._base_executable), platform.python_version(), f"cp{sys.version_info[0]}{sys.version_info[1]}", sep="\n")')
    [[ $MPI == pypi ]] || check_site_mpi
    [[ $GPU == none ]] || find_nccl
    extras=train,build,report,search,test
    [[ $GPU == none ]] || extras=${extras/train/train-gpu}
    [[ $MPI == site ]] || extras=$extras,mpi
    key=$(build_key)
    wheels=${XDG_CACHE_HOME:-$HOME/.cache}/hpcdl/wheels/$key
    # An environment of another kind is made anew; new versions or new metadata only need pip again.
    kind="$key $python $VENV $root"
    inputs=$(cat "$here/setup.sh" "$here/checks.sh" "$here/horovod.sh" "$here/constraints.txt" "$root/setup.cfg" "$root/pyproject.toml" \
        "$root/hpcdl/train/kernels/kernels.cc" | short_hash)
}

is_current() { [[ $(marked kind) == "$kind" && $(marked inputs) == "$inputs" ]] && "$VENV/bin/python" -c '' 2>/dev/null; }

write_mark() { # write_mark [LINE...]: without a line `kind=` the environment counts as unfinished
    printf '%s\n' "mpi=$MPI" "gpu=$GPU" "$@" >"$mark.new"
    mv -f "$mark.new" "$mark"
}

make_venv() {
    rm -rf "$VENV"
    mkdir -p "$VENV"
    write_mark
    "$python" -m venv "$VENV"
}

install_build_tools() {
    # Into the environment, not pip's isolated ones: what is compiled must see this TensorFlow and this MPI.
    pip install -c "$here/constraints.txt" pip setuptools packaging cmake cython
}

install_packages() {
    # compat: a plain .pth file. The default's import hook slows the start of every command and hides the package from mypy.
    pip install -c "$here/constraints.txt" --no-build-isolation --config-settings editable_mode=compat -e "${root}[$extras]"
}

install_wheel() { # install_wheel NAME: its dependencies are there already
    pip install --force-reinstall --no-deps "$(cached_wheel "$1")"
}

compile_kernels() { # A machine that has Horovod's wheel and no compiler can train without them.
    "$VENV/bin/python" -m hpcdl.train.kernels.compile || touch "$build/no-kernels"
}

horovod_loads() { # In a process of its own: a wheel that does not fit may crash.
    "$VENV/bin/python" -c 'import horovod.tensorflow' >/dev/null 2>&1
}

check_result() {
    local report
    if ! report=$("$VENV/bin/hpcdl" doctor 2>&1 9<&-); then
        printf '%s\n' "$report" >&2
        fail "the environment is made, but hpcdl doctor finds a fault" "see above; the next call checks again"
    fi
    echo checked=yes >>"$mark"
    echo "Ready after $SECONDS s: ${VENV#"$PWD"/}/bin/hpcdl (checked by hpcdl doctor)"
}

print_plan() {
    local state="to be made"
    ! is_current || state="up to date"
    printf '%s\n' "venv:     $VENV ($state)" "python:   $python ($python_version)" "packages: hpcdl[$extras] -c envs/constraints.txt" \
        "mpi:      $MPI" "gpu:      $GPU" "wheels:   $wheels" "horovod:  $HOROVOD, compiled with"
    horovod_switches | sed 's/^/          /'
}

choose
if [[ ${1:-} == --print ]]; then
    print_plan
    exit 0
fi
[[ $# -eq 0 ]] || fail "unknown argument $1" "usage: envs/setup.sh [--print]"
finish_if_current() {
    is_current || return 0
    [[ $(marked checked) == yes ]] || check_result
    exit 0
}
finish_if_current

# One set-up at a time in a checkout; a folder can be locked like a file.
if command -v flock >/dev/null; then
    exec 9<"$root"
    if ! flock -n 9; then
        echo "another envs/setup.sh is at work in $root; waiting for it"
        flock 9
    fi
    finish_if_current
fi

fresh=""
if [[ -d $VENV && -n $(ls -A "$VENV") && ! -e $mark ]]; then
    fail "$VENV is there and was not made by envs/setup.sh" "move it away, or choose another folder with VENV=DIR"
fi
if [[ $(marked kind) != "$kind" ]] || ! "$VENV/bin/python" -c '' 2>/dev/null; then
    fresh=yes # not there, of another kind, or its making was interrupted
fi
compile=""
if ! cached_wheel horovod >/dev/null; then
    compile=yes
    check_compiler
fi
if [[ $MPI == site ]] && ! cached_wheel mpi4py >/dev/null; then
    check_python_headers
fi
if [[ -n $fresh ]]; then
    check_python_parts
    check_space "$VENV" "$([[ $GPU == none ]] && echo 4 || echo 12)"
fi
check_space "$wheels" 1

# What a killed call left behind.
find "$(dirname "$wheels")" -maxdepth 2 -name '.build.*' -mmin +1440 -exec rm -rf {} + 2>/dev/null || true
if ! { log=$(mktemp "${TMPDIR:-/tmp}/hpcdl-setup.XXXXXX.log") && mkdir -p "$wheels" && build=$(mktemp -d "$wheels/.build.XXXXXX"); }; then
    fail "cannot write to ${TMPDIR:-/tmp} or $wheels" "choose other folders with TMPDIR=DIR and XDG_CACHE_HOME=DIR"
fi
trap 'rm -rf "$build"' EXIT
trap 'printf "\ninterrupted; the next call makes it good\n" >&2; exit 130' INT TERM

echo "Setting up ${VENV#"$PWD"/}: Python $python_version, MPI=$MPI, GPU=$GPU"
if [[ -n $fresh ]]; then
    step "Make the virtual environment" make_venv
else
    write_mark
fi
step "Install the build tools" install_build_tools
if [[ $MPI == site ]]; then
    cached_wheel mpi4py >/dev/null || step "Compile mpi4py with $(command -v mpicc)" build_mpi4py
    step "Install mpi4py" install_wheel mpi4py
fi
step "Install TensorFlow, Keras and the other packages" install_packages
if [[ -z $compile ]]; then
    step "Install Horovod $HOROVOD, compiled before" install_wheel horovod
    horovod_loads || { echo "It does not load; it is compiled again" && check_compiler && compile=yes; }
fi
if [[ -n $compile ]]; then
    step "Compile Horovod $HOROVOD (a minute or two)" build_horovod
    step "Install Horovod" install_wheel horovod
fi
step "Compile hpcdl's kernels" compile_kernels
if [[ -e $build/no-kernels ]]; then
    echo "  not compiled, which takes a C++17 compiler (CXX): batch normalisation and ReLU are slower on cores"
fi
write_mark "kind=$kind" "inputs=$inputs"
rm -f "$log"
check_result
