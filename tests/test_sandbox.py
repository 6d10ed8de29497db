"""A site profile becomes a cluster and Slurm's configuration: pure functions, so no root and no Slurm."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hpcdl.cli import sandbox as cli
from hpcdl.errors import HpcdlError
from hpcdl.sandbox import configuration, lifecycle, login, modules, packages
from hpcdl.sandbox.cluster import Cluster, shape
from hpcdl.sandbox.configuration import Options
from hpcdl.sandbox.state import Sandbox, Settings
from hpcdl.site import Site, load_site, site_files

FACT = {"source": "example", "as_of": "2021"}
SITE = Site.model_validate(
    {
        "name": "example",
        "title": "An example",
        "scheduler": "slurm",
        "gpu": {"request": "gres", "type": "a100", "per_node": 4, **FACT},
        "partitions": {
            "gpu": {"kind": "gpu", "max_nodes": 24, "max_time": "24:00:00", "cores_per_node": 128, **FACT},
            "devel": {"kind": "gpu", "max_nodes": 4, "max_time": "02:00:00", "cores_per_node": 128, **FACT},
            "cpu": {"kind": "cpu", "max_nodes": 100, "min_nodes": 2, **FACT},
        },
    }
)


@pytest.fixture
def cluster() -> Cluster:
    return shape("example", SITE, nodes=4)


def test_partitions_with_the_same_hardware_share_their_nodes(cluster: Cluster) -> None:
    assert [(len(kind.nodes), len(kind.running), kind.cores, kind.gpus) for kind in cluster.kinds] == [
        (24, 4, 128, 4),
        (100, 4, 16, 0),
    ]
    gpu, devel, cpu = cluster.queues
    assert gpu.nodes == devel.nodes
    assert not set(gpu.nodes) & set(cpu.nodes)


def test_the_numbers_of_nodes_are_as_wide_as_the_largest(cluster: Cluster) -> None:
    names = [node.name for kind in cluster.kinds for node in kind.nodes]
    assert (names[0], names[-1], len(set(names))) == ("node001", "node124", 124)


def test_slurm_conf_says_what_the_profile_says(cluster: Cluster) -> None:
    lines = configuration.slurm_conf(cluster, Path("/state"), Options()).splitlines()
    declared = [line for line in lines if "State=CLOUD" in line]
    assert declared[0].startswith("NodeName=node[005-024] CPUs=128 RealMemory=512000 Gres=gpu:a100:4 ")
    assert declared[1].startswith("NodeName=node[029-124] CPUs=16 RealMemory=64000 Weight")
    assert [line for line in lines if line.startswith("PartitionName=")] == [
        "PartitionName=gpu Nodes=node[001-024] State=UP PriorityTier=1 PreemptMode=REQUEUE "
        "DefMemPerCPU=4000 Default=YES MaxTime=24:00:00 MaxNodes=24",
        "PartitionName=devel Nodes=node[001-024] State=UP PriorityTier=1 PreemptMode=REQUEUE "
        "DefMemPerCPU=4000 MaxTime=02:00:00 MaxNodes=4",
        "PartitionName=cpu Nodes=node[025-124] State=UP PriorityTier=1 PreemptMode=REQUEUE "
        "DefMemPerCPU=4000 MinNodes=2 MaxNodes=100",
    ]


def test_memory_limits_are_kept_by_the_kernel_or_by_slurmd(cluster: Cluster) -> None:
    kernel = configuration.slurm_conf(cluster, Path("/state"), Options(memory_cgroup=True))
    assert "TaskPlugin=task/cgroup" in kernel
    assert "OverMemoryKill" not in kernel
    sampled = configuration.slurm_conf(cluster, Path("/state"), Options(memory_cgroup=False))
    assert "TaskPlugin=task/none" in sampled
    assert "JobAcctGatherParams=OverMemoryKill" in sampled


def test_only_running_nodes_have_gpu_devices(cluster: Cluster) -> None:
    text = configuration.gres_conf(cluster, Path("/state/dev"))
    assert text == "AutoDetect=off\nNodeName=node[001-004] Name=gpu Type=a100 File=/state/dev/nvidia[0-3]\n"


def test_a_cluster_with_no_declared_nodes_asks_no_plugin() -> None:
    cluster = shape("example", load_site("generic"), nodes=2)
    assert not cluster.declared
    text = configuration.slurm_conf(cluster, Path("/state"), Options())
    assert "JobSubmitPlugins" not in text
    assert "State=CLOUD" not in text
    assert "PartitionName=batch Nodes=node[01-02]" in text


def test_every_node_has_an_address_of_its_own() -> None:
    cluster = shape("example", SITE, nodes=64)
    lines = configuration.hosts(cluster).splitlines()
    assert "10.77.0.1 login" in lines
    addresses = [line.split()[0] for line in lines]
    assert len(addresses) == len(set(addresses)) == 3 + 64 + 100


def test_a_constraint_becomes_a_feature() -> None:
    partition = {"kind": "gpu", "options": {"constraint": "gpu&hbm80g"}, **FACT}
    site = SITE.model_copy(
        update={
            "partitions": Site.model_validate(
                {**SITE.model_dump(exclude_unset=True), "partitions": {"p": partition}}
            ).partitions
        }
    )
    assert shape("example", site, 1).kinds[0].features == ("gpu", "hbm80g")


def test_a_site_without_a_queue_is_refused() -> None:
    with pytest.raises(HpcdlError, match="site 'local' has no Slurm"):
        shape("x", load_site("local"), 1)


def test_the_module_tree_holds_the_names_of_the_profile() -> None:
    def site(**words: object) -> Site:
        return Site.model_validate({"name": "m", "title": "m", "scheduler": "slurm", "modules": words})

    assert list(modules.tree(site(load=["Stages/2025", "CUDA cuDNN/9.5"]))) == [
        "Stages/2025.lua",
        "CUDA.lua",
        "cuDNN/9.5.lua",
    ]
    assert list(modules.tree(site(restore="course"))) == ["course.lua"]
    for wrong in ("../../etc/passwd", "/etc/passwd"):
        with pytest.raises(HpcdlError, match="is no module name"):
            modules.tree(site(load=[wrong]))


@pytest.mark.parametrize("name", ["", "UPPER", "a/b", "../x", "a b", "x" * 21, "-x"])
def test_a_name_that_could_leave_its_folder_is_refused(name: str) -> None:
    with pytest.raises(HpcdlError, match="is no name for a sandbox"):
        Sandbox(name)


def test_settings_that_cannot_work_are_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(HpcdlError, match="needs root: run it with sudo"):
        lifecycle.check(Settings("jureca", 4))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(HpcdlError, match="--account needs --accounting"):
        lifecycle.check(Settings("jureca", 4, account="course"))
    for wrong in ("/tmp", "/etc", "/tmp/there-is-no-such-folder"):
        with pytest.raises(HpcdlError, match="give an existing folder below /tmp"):
            lifecycle.check(Settings("jureca", 4, share=(wrong,)))


@pytest.mark.parametrize(
    "command", [["down"], ["down", "--all"], ["status"], ["exec", "true"], ["fail", "node", "node01"]]
)
def test_without_root_every_command_says_so(monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    result = CliRunner().invoke(cli.app, command)
    assert isinstance(result.exception, HpcdlError)
    assert "needs root: run it with sudo" in str(result.exception)


def test_the_login_environment_drops_another_allocations_variables() -> None:
    who = login.user("root", {})
    given = {"PATH": "/bin", "SLURM_JOB_ID": "7", "SBATCH_PARTITION": "x", "PMIX_RANK": "0", "MY_DATA": "/data"}
    kept = login.environment(who, given)
    assert (kept["PATH"], kept["MY_DATA"], kept["HOME"]) == ("/bin", "/data", "/root")
    assert not {"SLURM_JOB_ID", "SBATCH_PARTITION", "PMIX_RANK"} & set(kept)


def test_the_user_is_who_called_sudo() -> None:
    assert login.user(None, {"SUDO_USER": "nobody"}).pw_name == "nobody"
    assert login.user(None, {}).pw_name == "root"
    with pytest.raises(HpcdlError, match="there is no user 'no-such-user'"):
        login.user("no-such-user", {})


def test_packages_are_installed_while_no_daemon_may_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(packages, "POLICY", policy)
    apt = tmp_path / "apt-get"
    apt.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls; {policy}; echo policy $? >> {tmp_path}/calls\n')
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    packages.install(["munge", "lmod"])
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls == ["update", "policy 101", "install -y --no-install-recommends munge lmod", "policy 101"]
    assert not policy.exists()

    apt.write_text("#!/bin/sh\necho 'E: no space left' >&2\nexit 100\n")
    with pytest.raises(HpcdlError, match="E: no space left"):
        packages.install(["munge"])
    assert not policy.exists()


def test_the_policy_of_the_machine_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("theirs")
    monkeypatch.setattr(packages, "POLICY", policy)
    (tmp_path / "apt-get").write_text("#!/bin/sh\n")
    (tmp_path / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    packages.install(["munge"])
    assert policy.read_text() == "theirs"


def test_missing_packages_are_named_as_apt_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda program, path=None: None if program in {"munged", "mariadbd"} else "/x")
    monkeypatch.setattr(packages, "NEEDED_FILES", {"/no/such/file": "lmod"})
    assert packages.missing(accounting=False) == ["munge", "lmod"]
    assert "mariadb-server" in packages.missing(accounting=True)


@pytest.mark.parametrize("name", sorted(set(site_files()) - {"local", "vsc-ugent"}))
def test_every_site_with_a_slurm_becomes_a_cluster(name: str) -> None:
    site = load_site(name)
    cluster = shape("x", site, nodes=2)
    assert {queue.name for queue in cluster.queues} >= {
        partition.options["partition"] for partition in site.partitions.values() if "partition" in partition.options
    }
    assert all(len(kind.running) == 2 and kind.cores > 0 and kind.memory_mb > 0 for kind in cluster.kinds)
    assert len({node.name for kind in cluster.kinds for node in kind.nodes}) == sum(len(k.nodes) for k in cluster.kinds)
    text = configuration.slurm_conf(cluster, Path("/state"), Options())
    assert text.count("PartitionName=") == len(cluster.queues)
    modules.tree(site)


def test_entries_for_one_partition_become_one_with_the_widest_limits() -> None:
    entries = {
        "normal": {"kind": "gpu", "max_time": "24:00:00", "max_nodes": 8, **FACT},
        "long": {"kind": "gpu", "max_time": "4-00:00:00", "max_nodes": 2, "options": {"partition": "normal"}, **FACT},
        "open": {"kind": "gpu", "max_nodes": 2, **FACT},
    }
    site = Site.model_validate(
        {**SITE.model_dump(exclude_unset=True), "partitions": entries, "nodes": {"shared": False, **FACT}}
    )
    normal, unlimited = shape("x", site, 1).queues
    assert (normal.name, normal.max_time, normal.max_nodes, normal.exclusive) == ("normal", "4-00:00:00", 8, True)
    assert (unlimited.max_time, unlimited.max_nodes) == (None, 2)


def test_every_command_is_on_the_page() -> None:
    page = (Path(__file__).parents[1] / "docs" / "sandbox.md").read_text()
    rows = {re.split(r"[ `]", line)[2] for line in page.splitlines() if line.startswith("| `")}
    names = {command.name or getattr(command.callback, "__name__", "") for command in cli.app.registered_commands}
    assert names <= rows
