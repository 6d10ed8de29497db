#!/usr/bin/env bash
# Write envs/constraints.txt anew: one version for every package that envs/setup.sh may install, for Python 3.10 to 3.13.
#
# Usage: envs/lock.sh      (or: make lock; needs uv: pip install uv)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

command -v uv >/dev/null || { echo "error: uv is not on PATH: pip install uv" >&2; exit 2; }

extras=()
for extra in train train-gpu mpi build report search test; do
    extras+=(--extra "$extra")
done
new=$(mktemp)
trap 'rm -f "$new"' EXIT
# --no-config and the named index: the lock must not depend on this machine's settings.
uv pip compile --quiet --no-config --default-index https://pypi.org/simple --universal --python-version 3.10 \
    --no-header --no-annotate "${extras[@]}" setup.cfg >"$new"
{
    cat <<'HEADER'
# Every package that envs/setup.sh may install, at one version each, for Python 3.10 to 3.13. Written by `make lock`
# (uv pip compile --universal) from the extras in setup.cfg: do not edit. Read by `pip install -c envs/constraints.txt`.
HEADER
    # Pins for other systems say nothing here: the package runs on Linux only.
    grep -v "sys_platform == 'win32'" "$new"
} >envs/constraints.txt
echo "envs/constraints.txt: $(grep -c '==' envs/constraints.txt) pins"
