"""A real Slurm for the tests: one sandbox for the session, with accounting."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm_session import Slurm

from hpcdl.sandbox import daemons, lifecycle, packages
from hpcdl.sandbox.cluster import shape
from hpcdl.sandbox.state import Sandbox, Settings
from hpcdl.sandbox.waiting import wait_until
from hpcdl.site import load_site

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True, scope="session")
def _root_and_packages() -> None:
    """What a sandbox needs of the machine. Without root these tests are skipped, in CI they fail."""
    if os.geteuid() != 0:
        message = "a real Slurm needs root: run `sudo -E make test`, or `sudo -E .venv/bin/pytest -m slurm`"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    missing = packages.missing(accounting=True)
    if missing:
        packages.install(missing)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The folders below /tmp that jobs of the tests need: checkout, Python environment, data, the tests' own."""
    wanted = {ROOT, Path(sys.prefix).resolve(), tmp_path_factory.getbasetemp().resolve()}
    if os.environ.get("HPCDL_DATA"):
        wanted.add(Path(os.environ["HPCDL_DATA"]).resolve())
    return sorted(str(folder) for folder in wanted if folder.is_relative_to("/tmp"))


@pytest.fixture(scope="session")
def slurm(_root_and_packages: None, tmp_path_factory: pytest.TempPathFactory, shared: list[str]) -> Iterator[Slurm]:
    """Bring Slurm up: JURECA's partitions, three nodes of each kind, accounting."""
    sandbox = Sandbox(f"test-{os.getpid()}")
    site = load_site("jureca")
    try:
        lifecycle.up(
            sandbox, site, Settings("jureca", 3, accounting=True, reservations=("course",), share=tuple(shared))
        )
        yield Slurm(sandbox, shape(sandbox.name, site, 3), tmp_path_factory.mktemp("slurm"))
    finally:
        lifecycle.down(sandbox)


@pytest.fixture
def idle(slurm: Slurm) -> Slurm:
    """The sandbox with no jobs and every node ready, whatever an earlier test has left."""
    slurm.run("scancel", "--user=root")
    keeper = slurm.sandbox.require_keeper()
    names = {node.name for node in slurm.cluster.running}

    def ready() -> bool:
        shown = daemons.must_run(keeper, ["sinfo", "--noheader", "--Node", "--states=idle", "--format=%N %t"])
        return names <= {line.split()[0] for line in shown.splitlines() if line.split()[1] == "idle"}

    wait_until(ready, 60, "an idle cluster")
    return slurm
