"""`hpcdl sandbox`: a real Slurm on this machine, shaped by a site profile."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from hpcdl.sandbox.cluster import Cluster
    from hpcdl.sandbox.state import Sandbox, Settings
    from hpcdl.site import Site

app = typer.Typer(
    help="A real Slurm on this machine, shaped by a site profile: try the very script before the real queue."
)

NAME = typer.Option("default", "--name", help="Which sandbox; several can be up side by side.")
USER = typer.Option(None, "--user", help="Run as this user. [default: who called sudo, else root]", show_default=False)
COMMAND = {"ignore_unknown_options": True, "allow_interspersed_args": False}


class Part(str, Enum):
    """What can fail."""

    NODE = "node"
    CONTROLLER = "controller"
    SLURMDBD = "slurmdbd"


PROGRAMS = {Part.CONTROLLER: "slurmctld", Part.SLURMDBD: "slurmdbd"}


@app.command()
def up(
    site: str = typer.Option("jureca", "--site", help="The site: the name of a profile, or a profile's path."),
    nodes: int = typer.Option(
        4, "--nodes", min=1, max=64, help="Nodes of every kind that run; the others are declared."
    ),
    accounting: bool = typer.Option(False, "--accounting", help="Also slurmdbd on MariaDB, so that sacct answers."),
    account: str | None = typer.Option(
        None, "--account", help="Let nobody submit without an account, and make this one (needs --accounting)."
    ),
    reservation: list[str] = typer.Option([], "--reservation", help="Make a reservation of all nodes; repeatable."),
    share: list[Path] = typer.Option(
        [], "--share", help="A folder below /tmp that the nodes see too: they have a /tmp of their own; repeatable."
    ),
    name: str = NAME,
    yes: bool = typer.Option(False, "--yes", "-y", help="Install missing packages without asking."),
) -> None:
    """Bring up Slurm with the site's partitions, nodes, GPUs and modules; repair it if it is up already."""
    import time

    from hpcdl.sandbox import lifecycle
    from hpcdl.sandbox.state import Sandbox, Settings

    begin = time.monotonic()
    sandbox = Sandbox(name)
    profile = _load_site(site)
    settings = Settings(
        site=str(Path(site).resolve()) if "/" in site or site.endswith(".yaml") else site,
        nodes=nodes,
        accounting=accounting,
        account=account,
        reservations=tuple(reservation),
        share=tuple(str(folder.resolve()) for folder in share),
    )
    lifecycle.check(settings)
    _install_missing(accounting, yes)
    lifecycle.up(sandbox, profile, settings)
    typer.echo(f"Slurm of site '{profile.name}' is up after {time.monotonic() - begin:.1f} s.")
    _show(sandbox)
    typer.echo(f"Next: hpcdl sandbox exec{sandbox.option} -- sbatch SCRIPT")


@app.command()
def down(
    name: str = NAME, everything: bool = typer.Option(False, "--all", help="Take every sandbox of this machine down.")
) -> None:
    """End all of it: processes, mounts, network and files. Nothing is left behind."""
    from hpcdl.sandbox import lifecycle, state

    wanted = state.names() if everything else [name]
    if not wanted:
        typer.echo("no sandbox is up; nothing to do.")
    for one in wanted:
        was_there = lifecycle.down(state.Sandbox(one))
        typer.echo(f"sandbox '{one}' is down." if was_there else f"no sandbox '{one}' is up; nothing to do.")


@app.command()
def status(name: str = NAME) -> None:
    """Say what runs: nodes and their states, daemons, where the logs are."""
    from hpcdl.sandbox import state

    sandbox = state.Sandbox(name)
    if sandbox.keeper is None:
        others = [other for other in state.names() if other != name]
        typer.echo(f"no sandbox '{name}' is up." + (f" There are: {', '.join(others)}." if others else ""))
        raise typer.Exit(1)
    _show(sandbox)


@app.command("exec", context_settings=COMMAND)
def execute(
    command: list[str] = typer.Argument(..., help="The command and its arguments."),
    name: str = NAME,
    user: str | None = USER,
    node: str | None = typer.Option(None, "--node", help="On this compute node instead of the login node."),
) -> None:
    """Run a command as on the login node: `hpcdl sandbox exec -- sbatch x.sh`. Its exit code is passed on."""
    import os

    from hpcdl.sandbox import login, state

    words, env = login.command_line(state.Sandbox(name), command, user, node=node)
    os.execvpe(words[0], words, env)


@app.command()
def shell(name: str = NAME, user: str | None = USER) -> None:
    """Open a shell on the login node."""
    execute(["bash", "--rcfile", "/etc/profile.d/lmod.sh", "-i"], name, user, None)


@app.command()
def fail(
    part: Part = typer.Argument(..., help="What fails: node NAME, controller (slurmctld) or slurmdbd."),
    node: str | None = typer.Argument(None, metavar="[NAME]", help="The node."),
    name: str = NAME,
) -> None:
    """Let a part fail: a node dies with everything on it, slurmctld or slurmdbd stops."""
    from hpcdl.sandbox import faults, state

    sandbox = state.Sandbox(name)
    if part is Part.NODE:
        faults.fail_node(sandbox, _required(node))
        typer.echo(f"{node} is dead and Slurm has it as DOWN; `hpcdl sandbox restore node {node}` starts it again.")
    else:
        faults.stop_daemon(sandbox, _program(part))
        typer.echo(f"{_program(part)} is down; `hpcdl sandbox restore {part.value}` starts it again.")


@app.command()
def restore(
    part: Part = typer.Argument(..., help="What comes back: node NAME, controller (slurmctld) or slurmdbd."),
    node: str | None = typer.Argument(None, metavar="[NAME]", help="The node."),
    name: str = NAME,
) -> None:
    """Start again what failed, or let a drained node take jobs."""
    from hpcdl.sandbox import faults, state

    sandbox = state.Sandbox(name)
    if part is Part.NODE:
        settings, cluster = _settings_and_cluster(sandbox)
        faults.restore_node(sandbox, cluster, _required(node), settings.share)
        typer.echo(f"{node} takes jobs.")
    else:
        faults.start_daemon(sandbox, _program(part))
        typer.echo(f"{_program(part)} answers.")


@app.command()
def restart(
    part: Part = typer.Argument(Part.CONTROLLER, help="controller (slurmctld) or slurmdbd."), name: str = NAME
) -> None:
    """Restart a daemon: jobs go on, and it reads back what it had saved."""
    from hpcdl.sandbox import faults, state

    sandbox = state.Sandbox(name)
    faults.stop_daemon(sandbox, _program(part))
    faults.start_daemon(sandbox, _program(part))
    typer.echo(f"{_program(part)} answers again.")


@app.command()
def drain(node: str = typer.Argument(..., help="The node."), name: str = NAME) -> None:
    """Let a node take no further job; `restore node` undoes it."""
    from hpcdl.sandbox import faults, state

    sandbox = state.Sandbox(name)
    faults.drain_node(sandbox, _settings_and_cluster(sandbox)[1], node)
    typer.echo(f"{node} takes no further job; `hpcdl sandbox restore node {node}` undoes it.")


@app.command()
def preempt(job: str = typer.Argument(..., help="The job id."), name: str = NAME) -> None:
    """Let Slurm preempt a running job, as if one of higher priority needed its nodes."""
    from hpcdl.sandbox import faults, state

    faults.preempt(state.Sandbox(name), job)
    typer.echo(f"job {job} was preempted.")


@app.command()
def expire(
    job: str = typer.Argument(..., help="The job id."),
    seconds: int = typer.Option(5, "--in", min=5, help="Seconds from now."),
    name: str = NAME,
) -> None:
    """Let a running job reach its time limit soon (slurmctld looks every 30 s)."""
    from hpcdl.sandbox import faults, state

    faults.expire(state.Sandbox(name), job, seconds)
    typer.echo(f"job {job} reaches its time limit in {seconds} s; slurmctld acts on it within 30 s more.")


def _program(part: Part) -> str:
    """The daemon that is a part of the cluster."""
    from hpcdl.sandbox.errors import SandboxUsageError

    if part not in PROGRAMS:
        raise SandboxUsageError("a node is no daemon: use `fail node NAME` and `restore node NAME`.")
    return PROGRAMS[part]


def _load_site(site: str) -> "Site":
    from hpcdl.settings import load_settings
    from hpcdl.site import load_site

    return load_site(site, load_settings().folder("sites"))


def _settings_and_cluster(sandbox: "Sandbox") -> tuple["Settings", "Cluster"]:
    """What the sandbox was brought up with, and the cluster made from it."""
    from hpcdl.sandbox import cluster
    from hpcdl.sandbox.errors import SandboxUsageError

    settings = sandbox.read_settings()
    if settings is None:
        raise SandboxUsageError(
            f"sandbox '{sandbox.name}' is not fully up; repair it with `hpcdl sandbox up{sandbox.option}`."
        )
    return settings, cluster.shape(sandbox.name, _load_site(settings.site), settings.nodes)


def _required(node: str | None) -> str:
    from hpcdl.sandbox.errors import SandboxUsageError

    if node is None:
        raise SandboxUsageError(
            "which node? Write its name, as in `fail node node01`; `hpcdl sandbox status` lists them."
        )
    return node


def _install_missing(accounting: bool, yes: bool) -> None:
    from hpcdl.sandbox import packages
    from hpcdl.sandbox.errors import SandboxUsageError

    missing = packages.missing(accounting)
    if not missing:
        return
    typer.echo(f"The sandbox needs these packages of Debian or Ubuntu: {' '.join(missing)}")
    if not (yes or typer.confirm("Install them with apt-get (none of them will start a daemon)?", default=True)):
        raise SandboxUsageError("without these packages there is no sandbox.")
    packages.install(missing)


def _show(sandbox: "Sandbox") -> None:
    from hpcdl.sandbox import daemons, nodes

    settings, cluster = _settings_and_cluster(sandbox)
    keeper = sandbox.require_keeper()
    typer.echo(f"site {settings.site}, {len(cluster.running)} nodes run, state and logs in {sandbox.folder}")
    programs = ["munged", "slurmctld", *(["mariadbd", "slurmdbd"] if settings.accounting else [])]
    typer.echo(
        "daemons: " + ", ".join(f"{name} {'runs' if daemons.runs(keeper, name) else 'IS DEAD'}" for name in programs)
    )
    typer.echo(f"memory limits: {nodes.memory_words()}")
    typer.echo(daemons.run(keeper, ["sinfo"]).stdout.rstrip())
