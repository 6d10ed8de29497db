"""All benches: python tests/bench/bench.py [NAME...] [--quick] [-o FOLDER] [--page].

Each measures its sides in turns on the same two cores and writes FOLDER/NAME.json as soon as it is done; then the page
FOLDER.md is made from all that is there (page.py). --page measures nothing. --quick tries the benches out: its figures
mean nothing and go to a folder of their own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import harness
import page
import torch_environment
from scripts import Script

from hpcdl.errors import HpcdlError

CORES = 2
ALONE = [name for name, bench in page.BENCHES.items() if isinstance(bench, Script)]
"""They run only when they are named: these programs take their own time, and collect gigabytes of TMPDIR."""


def main() -> int:
    """Measure and write; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"of {', '.join(page.BENCHES)}; all but {' and '.join(ALONE)} if absent",
    )
    parser.add_argument("--quick", action="store_true", help="try them out in seconds")
    parser.add_argument("-o", "--output", type=Path, default=None, help=f"the folder, {page.RESULTS} if absent")
    parser.add_argument("--page", action="store_true", help="measure nothing, make the page")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in page.BENCHES]
    if unknown:
        parser.error(f"there is no bench {unknown[0]}; there are {', '.join(page.BENCHES)}")
    folder = arguments.output or (
        Path(tempfile.mkdtemp(prefix="bench-")) / "quick" if arguments.quick else page.RESULTS
    )
    began, failed = time.monotonic(), []
    if not arguments.page:
        harness.pin(CORES)
        if not arguments.quick:
            _prepare_torch()
        for name in arguments.names or [name for name in page.BENCHES if name not in ALONE]:
            if not _measure(name, arguments.quick, folder):
                failed.append(name)
    page.write(folder)
    print(f"{page.summary(page.read(folder))}\nMore in {folder}.md")
    print(f"{time.monotonic() - began:.0f} s in all")
    for name in failed:
        print(f"{name} failed; try it again: python tests/bench/bench.py {name}", file=sys.stderr)
    return 1 if failed else 0


def _prepare_torch() -> None:
    try:
        torch_environment.make()
    except (OSError, subprocess.SubprocessError) as error:
        print(f"PyTorch cannot be installed, the benches go on without it: {error}", file=sys.stderr)


def _measure(name: str, quick: bool, folder: Path) -> bool:
    """Run one bench and write its results, unless it fails."""
    bench, began = page.BENCHES[name], time.monotonic()
    before = harness.machine()
    try:
        found = bench.measure(quick)
    except (HpcdlError, RuntimeError, OSError, subprocess.SubprocessError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return False
    torch = {"torch": torch_environment.VERSION} if torch_environment.python() else {}
    head = {"title": bench.TITLE, "machine": before, "versions": harness.versions() | torch}
    folder.mkdir(parents=True, exist_ok=True)
    seconds = round(time.monotonic() - began, 1)
    whole = {**head, "took_s": seconds, **found}
    (folder / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n")
    print(f"{name}: {seconds:.0f} s\n\n{bench.section(found)}", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
