"""PyTorch for the benches, in an environment of its own: it is no dependency of hpcdl.

    python tests/bench/torch_environment.py

makes it in ~/.cache/hpcdl/bench-venv ($HPCDL_BENCH_VENV), which takes about a minute and 0.8 GB with the build for
processors. PyPI's own wheel brings CUDA's libraries (several GB); the small one is on PyTorch's index:
`PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make bench`.
"""

import os
import subprocess
import venv
from pathlib import Path

VERSION = "2.13.0"


def python() -> Path | None:
    """Return the Python that has PyTorch, None where there is none."""
    found = _folder() / "bin" / "python"
    return found if found.exists() and list(_folder().glob("lib/python*/site-packages/torch/__init__.py")) else None


def make() -> Path:
    """Make the environment unless it is there, and return its Python.

    Raises:
        subprocess.CalledProcessError: pip could not.
    """
    if python() is None:
        venv.create(_folder(), with_pip=True, clear=True)
        command = [_folder() / "bin" / "python", "-m", "pip", "install", "--quiet", f"torch=={VERSION}", "numpy"]
        subprocess.run(command, check=True)
    found = python()
    assert found
    return found


def _folder() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("HPCDL_BENCH_VENV") or cache / "hpcdl" / "bench-venv")


if __name__ == "__main__":
    print(make())
