"""A first site profile of the machine one is on, from what its own Slurm says (scontrol show partition, node)."""

import io
import re
import subprocess
from datetime import date
from typing import Any

from ruamel.yaml import YAML

from hpcdl.errors import SiteError

PAIR = re.compile(r"([A-Z][\w:]*)=(.*?)(?=\s+[A-Z][\w:]*=|\s*$)")
"""KEY=VALUE in a line of `scontrol --oneliner`; some values hold blanks (OS=Linux 5.14 ...)."""
GPUS = re.compile(r"gpu(?::(?P<type>[^:(,]+))?:(?P<number>\d+)")
"""GPUs in a node's Gres: gpu:4, gpu:a100:4(S:0-1)."""
SECONDS_TO_WAIT = 60


def ask_slurm() -> tuple[str, str]:
    """Return the lines of `scontrol show partition` and `scontrol show node`.

    Raises:
        SiteError: there is no scontrol here, or its controller does not answer.
    """
    return _scontrol("partition"), _scontrol("node")


def profile(name: str, partitions: str, nodes: str, today: date) -> str:
    """Return the text of a site profile.

    Args:
        name: the site's name, which is also the name of the file to write.
        partitions: lines of `scontrol show partition --oneliner`.
        nodes: lines of `scontrol show node --oneliner`.
        today: the day of the two.

    Raises:
        SiteError: there is no partition among the lines.
    """
    members: dict[str, list[dict[str, str]]] = {}
    for node in _records(nodes):
        for partition in node.get("Partitions", "").split(","):
            members.setdefault(partition, []).append(node)
    records = [record for record in _records(partitions) if record.get("State") != "INACTIVE"]
    if not records:
        raise SiteError("scontrol shows no partition; ask on a login node of the cluster.")
    records.sort(key=lambda record: record.get("Default") != "YES")  # the default partition is the first choice
    fact = {"source": "scontrol show partition, node", "as_of": today.isoformat()}
    described = {
        record["PartitionName"]: _partition(record, members.get(record["PartitionName"], [])) | fact
        for record in records
    }
    site: dict[str, Any] = {"name": name, "title": f"{name}, as its Slurm described itself", "scheduler": "slurm"}
    if any(partition["kind"] == "gpu" for partition in described.values()):
        site["gpu"] = {"request": "gres"}
    text = io.StringIO()
    YAML().dump(site | {"partitions": described, "launch": {"program": "srun"}}, text)
    return (
        "# Written by `hpcdl sites import`. What Slurm does not say is for you to add: modules, whether an account is\n"
        "# required, how the site wants GPUs to be asked for, signs (hpcdl schema site lists all keys).\n"
        + text.getvalue()
    )


def _partition(record: dict[str, str], nodes: list[dict[str, str]]) -> dict[str, Any]:
    gpus = [_gpus(node.get("Gres", "")) for node in nodes]
    facts = {
        "min_nodes": _number(record.get("MinNodes"), at_least=2),
        "max_nodes": _number(record.get("MaxNodes")),
        "max_time": _time(record.get("MaxTime")),
        "gpus_per_node": max((number for number, _ in gpus), default=0) or None,
        "gpu_model": next((kind for _, kind in gpus if kind), None),
        "cores_per_node": max((_number(node.get("CPUTot")) or 0 for node in nodes), default=0) or None,
        "memory_gib": max((_number(node.get("RealMemory")) or 0 for node in nodes), default=0) // 1024 or None,
    }
    kind = "gpu" if facts["gpus_per_node"] else "cpu"
    return {"kind": kind} | {key: value for key, value in facts.items() if value is not None}


def _records(lines: str) -> list[dict[str, str]]:
    return [dict(PAIR.findall(line)) for line in lines.splitlines() if "=" in line]


def _number(text: str | None, at_least: int = 1) -> int | None:
    """A number that limits something; None for UNLIMITED, for what is absent, and below `at_least`."""
    return int(text) if text and text.isdecimal() and int(text) >= at_least else None


def _time(text: str | None) -> str | None:
    return text if text and re.fullmatch(r"(\d+-)?\d\d:\d\d:\d\d", text) else None


def _gpus(gres: str) -> tuple[int, str | None]:
    found = list(GPUS.finditer(gres))
    return sum(int(match["number"]) for match in found), next((match["type"] for match in found), None)


def _scontrol(what: str) -> str:
    command = ["scontrol", "show", what, "--oneliner"]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_TO_WAIT, check=True)
    except FileNotFoundError:
        raise SiteError("there is no `scontrol` here; run this on a login node of the cluster.") from None
    except subprocess.TimeoutExpired:
        raise SiteError(f"{' '.join(command)} gave no answer for {SECONDS_TO_WAIT} s; is the controller up?") from None
    except subprocess.CalledProcessError as fault:
        said = fault.stderr.strip().splitlines()
        raise SiteError(
            f"{' '.join(command)} failed: {said[-1] if said else f'exit code {fault.returncode}'}"
        ) from None
    return ran.stdout
