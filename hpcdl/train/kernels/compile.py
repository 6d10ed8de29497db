"""Where the compiled kernels lie, and how they are compiled: `python -m hpcdl.train.kernels.compile`.

They lie in the environment, under a name that says what they were made from: another version of hpcdl or TensorFlow
has kernels of its own, and never loads these.
"""

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("kernels.cc")
FLAGS = ["-shared", "-fPIC", "-O3", "-fno-math-errno", "-fno-trapping-math", "-w"]
"""The last one since TensorFlow's headers warn; ours is read by people."""


def library() -> Path:
    """Return where the kernels for this hpcdl and this TensorFlow are, or would be."""
    made_from = [SOURCE.read_text(), *FLAGS, _tensorflow()]
    key = hashlib.sha256("\0".join(made_from).encode()).hexdigest()[:12]
    return Path(sys.prefix, "lib", "hpcdl", f"kernels-{key}.so")


def _tensorflow() -> str:
    for name in ("tensorflow", "tensorflow-cpu"):
        try:
            return f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


def main() -> int:
    """Compile them by CXX (c++ or g++ where that is not set) if they are not there yet.

    Returns:
        0, or 1 where there is no compiler or it fails; its own words are on stderr.
    """
    from tensorflow import sysconfig

    to = library()
    if to.exists():
        return 0
    to.parent.mkdir(parents=True, exist_ok=True)
    new = to.with_name(f".{to.name}.{os.getpid()}")
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if not compiler:
        print("no C++ compiler: set CXX to one", file=sys.stderr)
        return 1
    command = [
        compiler,
        *FLAGS,
        str(SOURCE),
        "-o",
        str(new),
        *sysconfig.get_compile_flags(),
        *sysconfig.get_link_flags(),
    ]
    try:
        if subprocess.run(command).returncode != 0:
            return 1
        new.replace(to)
        return 0
    finally:
        new.unlink(missing_ok=True)


if __name__ == "__main__":
    raise SystemExit(main())
