"""A profile from what Slurm says of itself: lines of Slurm 22.05.8, with limits and a GPU type written in."""

import subprocess
from datetime import date
from pathlib import Path

import pytest

from hpcdl.errors import SiteError
from hpcdl.site import load_site
from hpcdl.survey import ask_slurm, profile

LINES = Path(__file__).parent / "slurm" / "scontrol"
PARTITIONS, NODES = ((LINES / f"{what}.txt").read_text() for what in ("partition", "node"))


def imported(folder: Path, partitions: str = PARTITIONS, nodes: str = NODES):
    (folder / "here.yaml").write_text(profile("here", partitions, nodes, date(2026, 11, 20)))
    return load_site("here", folder)


def test_limits_and_nodes_are_those_of_the_cluster(tmp_path):
    site = imported(tmp_path)
    facts = site.partitions["gpus"].model_dump(exclude_defaults=True)
    assert facts == {
        "kind": "gpu",
        "options": {"partition": "gpus"},
        "min_nodes": 2,
        "max_nodes": 24,
        "max_time": "1-00:00:00",
        "gpus_per_node": 4,
        "gpu_model": "a100",
        "cores_per_node": 16,
        "memory_gib": 62,
        "source": "scontrol show partition, node",
        "as_of": "2026-11-20",
    }
    assert site.partitions["batch"].kind == "cpu"


def test_what_is_unlimited_is_no_limit(tmp_path):
    batch = imported(tmp_path).partitions["batch"]
    assert (batch.min_nodes, batch.max_nodes, batch.max_time) == (None, None, None)


def test_the_default_partition_comes_first_and_an_inactive_one_not_at_all(tmp_path):
    assert list(imported(tmp_path).partitions) == ["gpus", "batch", "develgpus"]


def test_a_cluster_without_gpus_has_no_gpu_section(tmp_path):
    assert imported(tmp_path, nodes=NODES.replace("Gres=gpu", "Gres=craynetwork")).gpu is None


def test_no_partition_is_an_error():
    with pytest.raises(SiteError, match="shows no partition"):
        profile("here", "No partitions in the system\n", "", date(2026, 11, 20))


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        (None, "there is no `scontrol` here"),
        (
            "#!/bin/sh\necho 'slurm_load_partitions: Unable to contact slurm controller' >&2\nexit 1\n",
            "Unable to contact",
        ),
    ],
)
def test_a_cluster_that_does_not_answer_is_one_sentence(program, sentence, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    if program:
        (tmp_path / "scontrol").write_text(program)
        (tmp_path / "scontrol").chmod(0o755)
    with pytest.raises(SiteError, match=sentence):
        ask_slurm()


def test_scontrol_is_asked_for_one_line_each(tmp_path, monkeypatch):
    program = (
        f'#!/bin/sh\ntest "$1 $3" = "show --oneliner" && while read -r line; do echo "$line"; done < "{LINES}/$2.txt"\n'
    )
    (tmp_path / "scontrol").write_text(program)
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [len(lines.splitlines()) for lines in ask_slurm()] == [4, 3]
    assert subprocess.run(["scontrol", "show", "node"], capture_output=True, check=False).returncode == 1
