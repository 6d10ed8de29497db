"""The site's facts against what the script demands."""

from collections.abc import Iterator

from hpcdl.errors import SiteError
from hpcdl.fit import check_account
from hpcdl.site import Partition, Site
from hpcdl.slurm.lint.script import Script
from hpcdl.slurm.preflight.demands import Demands, demands_of
from hpcdl.slurm.preflight.problem import Problem
from hpcdl.slurm.sbatch.request import Setting
from hpcdl.values import seconds


def check_site(script: Script, site: Site) -> Iterator[Problem]:
    """Yield what the site's profile says against a script."""
    demands = demands_of(script)
    partition = _partition(script, site)
    if partition is not None:
        yield from _beyond_limits(demands, partition, site)
    yield from _gpus(demands, partition, site)
    yield from _refused(script, site)
    account = script.options.get("account")
    try:
        check_account(account.value if account else None, site)
    except SiteError as error:
        remedy = "add #SBATCH --account=NAME" if account is None else "correct it"
        yield Problem("site", str(error).split(". ")[0], remedy, line=account.line if account else None)


def _refused(script: Script, site: Site) -> Iterator[Problem]:
    for name in site.refuses:
        setting = script.options.get(name)
        if setting:
            yield Problem("site", f"site {site.name} rejects --{name}", "leave it out", line=setting.line)


def _partition(script: Script, site: Site) -> Partition | None:
    """The partition of the profile whose options the script gives; None where none or several agree."""
    options = script.options
    agreeing = [
        partition
        for partition in site.partitions.values()
        if partition.options and all(_says(options, name, value) for name, value in partition.options.items())
    ]
    return agreeing[0] if len(agreeing) == 1 else None


def _says(options: dict[str, Setting], name: str, value: str) -> bool:
    return name in options and options[name].value == value


def _beyond_limits(demands: Demands, partition: Partition, site: Site) -> Iterator[Problem]:
    since = f"(as of {partition.as_of}, {partition.source})"
    where = " ".join(f"{name} {value}" for name, value in partition.options.items()) + f" of site {site.name}"
    longest = partition.longest_time(demands.nodes or 1)
    if longest and demands.time_s and demands.time_s > seconds(longest):
        what = f"--time is beyond the {longest} of {where} {since}; the job would wait for ever"
        yield Problem("site", what, f"ask for at most {longest}, or take another partition")
    if partition.max_nodes and demands.nodes and demands.nodes > partition.max_nodes:
        what = f"{demands.nodes} nodes are more than the {partition.max_nodes} that {where} gives {since}"
        yield Problem("site", what, "ask for fewer nodes, or take another partition")
    if partition.min_nodes and demands.nodes and demands.nodes < partition.min_nodes:
        what = f"{demands.nodes} nodes are fewer than the {partition.min_nodes} that {where} takes {since}"
        yield Problem("site", what, "ask for more nodes, or take another partition")
    if partition.kind == "gpu" and demands.gpus_per_node is None and site.gpu and site.gpu.request != "none":
        what = f"{where} is for GPU jobs, and the script asks for no GPU"
        yield Problem("site", what, f"write --{site.gpu.request}", stops=False)


def _gpus(demands: Demands, partition: Partition | None, site: Site) -> Iterator[Problem]:
    gpus, tasks = demands.gpus_per_node, demands.tasks_per_node
    if not gpus:
        return
    there = (partition and partition.gpus_per_node) or (site.gpu and site.gpu.per_node)
    if there and gpus > there:
        yield Problem(
            "site", f"{gpus} GPUs on a node, and a node of site {site.name} has {there}", f"ask for at most {there}"
        )
    elif there and gpus < there and demands.nodes and demands.nodes > 1:
        what = (
            f"{demands.nodes} nodes with {gpus} of their {there} GPUs each: half-used nodes cost as much as full ones"
        )
        yield Problem("site", what, f"ask for {there} GPUs on fewer nodes", stops=False)
    if site.gpu and demands.gpu_options and site.gpu.request not in ("none", *demands.gpu_options):
        what = (
            f"site {site.name} wants GPUs asked for by --{site.gpu.request}, the script uses --{demands.gpu_options[0]}"
        )
        yield Problem("site", what, f"write --{site.gpu.request}", stops=False)
    if tasks and tasks != gpus and not demands.starts_own_processes:
        idle = "GPUs idle" if tasks < gpus else "ranks share a GPU"
        what = f"{tasks} tasks and {gpus} GPUs on each node: {idle}, where one rank drives one GPU"
        yield Problem("site", what, f"write --ntasks-per-node={gpus}", stops=False)
