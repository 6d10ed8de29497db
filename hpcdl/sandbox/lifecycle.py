"""Bringing a sandbox up, repairing it, and taking it down."""

import os
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hpcdl.files import write_atomically
from hpcdl.sandbox import configuration, daemons, modules, namespaces, nodes, state
from hpcdl.sandbox.cluster import Cluster, shape
from hpcdl.sandbox.errors import SandboxError, SandboxUsageError
from hpcdl.sandbox.state import Sandbox, Settings
from hpcdl.sandbox.waiting import wait_until
from hpcdl.site import Site


def check(settings: Settings) -> None:
    """Refuse, before anything is installed or started, what cannot work.

    Raises:
        SandboxError: no root.
        SandboxUsageError: settings that contradict each other, or a shared folder that is none.
    """
    namespaces.require_root()
    if settings.account and not settings.accounting:
        raise SandboxUsageError("--account needs --accounting: accounts live in Slurm's database.")
    for folder in settings.share:
        if not Path(folder).is_dir() or not Path(folder).is_relative_to("/tmp") or folder == "/tmp":
            raise SandboxUsageError(
                f"--share {folder}: give an existing folder below /tmp; other folders are shared anyway."
            )


def up(sandbox: Sandbox, site: Site, settings: Settings) -> None:
    """Bring a sandbox up, or repair the one that is up: what runs stays, what is missing is started.

    Args:
        sandbox: which one.
        site: the profile of settings.site.
        settings: what is wanted.

    Raises:
        SandboxError: the kernel refuses, or a daemon did not come up.
        SandboxUsageError: it is up with other settings.
    """
    cluster = shape(sandbox.name, site, settings.nodes)
    with state.lock():
        before = sandbox.read_settings()
        keeper = sandbox.keeper
        if keeper is not None and before not in (None, settings):
            raise SandboxUsageError(
                f"sandbox '{sandbox.name}' is up with other settings ({before}); take it down first: "
                f"`hpcdl sandbox down{sandbox.option}`."
            )
        if keeper is None or before is None:
            # Nothing there, or what an interrupted `up` left: begin anew.
            _remove(sandbox)
            _write_files(sandbox.folder, cluster, site, settings)
            try:
                keeper = nodes.start_login(sandbox.name, sandbox.folder)
            except SandboxError:
                _remove(sandbox)  # nothing ran yet, so there is no log that would be worth keeping
                raise
        _start_missing(sandbox, keeper, cluster, settings)
        if before is None:
            _furnish(sandbox, keeper, site, settings)
        wait_until(lambda: not _not_ready(keeper, cluster), 60, f"the nodes to be idle (logs: {sandbox.folder}/log)")
        sandbox.write_settings(settings)


def down(sandbox: Sandbox) -> bool:
    """End everything in a sandbox and remove its folder; return whether there was anything.

    Raises:
        SandboxError: no root.
    """
    namespaces.require_root()
    with state.lock():
        was_there = sandbox.keeper is not None or sandbox.folder.exists()
        _remove(sandbox)
        if not any(state.ROOT.iterdir()):
            state.ROOT.rmdir()
    return was_there


def _remove(sandbox: Sandbox) -> None:
    for keeper in [sandbox.keeper, *sandbox.node_keepers.values()]:
        if keeper is not None:
            namespaces.end(keeper)
    nodes.remove_cgroups(sandbox.name)
    if sandbox.folder.exists():
        shutil.rmtree(sandbox.folder)


def _write_files(folder: Path, cluster: Cluster, site: Site, settings: Settings) -> None:
    """Write everything that is decided before anything runs."""
    folder.mkdir(mode=0o755)
    for name in ("etc", "log", "slurmctld", "slurmd", "dev"):
        (folder / name).mkdir(mode=0o755)
    for node in cluster.running:
        (folder / "slurmd" / node.name).mkdir()
    for number in range(cluster.most_gpus):
        os.mknod(folder / "dev" / f"nvidia{number}", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    options = configuration.Options(settings.accounting, settings.account is not None, nodes.has_memory_cgroup())
    files = {
        "hosts": configuration.hosts(cluster),
        "etc/slurm.conf": configuration.slurm_conf(cluster, folder, options),
        "etc/gres.conf": configuration.gres_conf(cluster, folder / "dev"),
        "etc/cgroup.conf": configuration.cgroup_conf(),
        "etc/slurmdbd.conf": configuration.slurmdbd_conf(folder),
        "etc/job_submit.lua": configuration.job_submit_lua(cluster),
        "resume": configuration.resume_program(),
    }
    for name, text in files.items():
        write_atomically(folder / name, text)
    (folder / "etc/slurmdbd.conf").chmod(0o600)
    (folder / "resume").chmod(0o755)
    modules.write(site, folder)


def _start_missing(sandbox: Sandbox, keeper: int, cluster: Cluster, settings: Settings) -> None:
    folder = sandbox.folder
    # A node without a slurmd may be one whose start was cut short: it is started anew.
    alive = {name: node for name, node in sandbox.node_keepers.items() if daemons.runs(node, "slurmd")}
    for name, node in sandbox.node_keepers.items():
        if name not in alive:
            namespaces.end(node)
    with ThreadPoolExecutor() as pool:
        absent = [node for node in cluster.running if node.name not in alive]
        started = pool.map(lambda node: nodes.start_node(sandbox.name, keeper, node, settings.share), absent)
        daemons.start_munged(keeper, folder)
        if settings.accounting:
            daemons.start_mariadb(keeper, folder)
            daemons.start_slurmdbd(keeper)
        daemons.start_slurmctld(keeper)
        alive |= dict(zip([node.name for node in absent], started, strict=True))
        list(pool.map(lambda node: daemons.start_slurmd(alive[node.name], node.name), cluster.running))


def _furnish(sandbox: Sandbox, keeper: int, site: Site, settings: Settings) -> None:
    """Make what a site's administrators would have made once: accounts, reservations, a saved collection of modules."""
    users = sorted({"root", os.environ.get("SUDO_USER", "root")})
    if settings.account:
        daemons.must_run(keeper, ["sacctmgr", "--immediate", "add", "account", settings.account])
        for user in users:
            daemons.must_run(keeper, ["sacctmgr", "--immediate", "add", "user", user, f"account={settings.account}"])
    for reservation in settings.reservations:
        words = [f"reservationname={reservation}", "starttime=now", "duration=infinite", f"users={','.join(users)}"]
        held = ["flags=any_nodes", f"licenses={configuration.RESERVATION_LICENSE}:1"]
        daemons.must_run(keeper, ["scontrol", "create", "reservation", *words, *held])
    if command := modules.save_collection(site, sandbox.folder):
        daemons.must_run(keeper, command)


def _not_ready(keeper: int, cluster: Cluster) -> list[str]:
    """Return the running nodes that could take no job."""
    names = [node.name for node in cluster.running]
    # Only these: sinfo takes ten seconds for the lines of the 9,000 nodes that a large site declares.
    question = ["sinfo", "--noheader", "--Node", f"--nodes={','.join(names)}", "--format=%N %t"]
    states = (line.split() for line in daemons.run(keeper, question).stdout.splitlines())
    ready = {name for name, state in states if state in {"idle", "mix", "alloc", "comp"}}
    return [name for name in names if name not in ready]
