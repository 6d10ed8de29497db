"""The directives for qsub."""

import pytest

from hpcdl import resources
from hpcdl.errors import JobFileError
from hpcdl.fit import choose_partition
from hpcdl.job import load_job
from hpcdl.pbs import pbs_directives
from hpcdl.settings import Settings
from hpcdl.site import load_site


def directives(overrides: dict, settings: Settings = Settings()) -> list[str]:  # noqa: B008 - settings do not change
    overrides = {"slurm.reservation": False, "slurm.mail-type": False, **overrides}
    job, site = load_job(resources.folder("jobs") / "mnist_lecture.yaml", overrides), load_site("vsc-ugent")
    return pbs_directives(job, site, choose_partition(job, site), settings)


def test_nodes_cores_and_gpus_are_one_request():
    asked = directives({"resources.nodes": 2, "resources.ranks_per_node": 4, "resources.gpus_per_node": 4})
    assert "-l nodes=2:ppn=32:gpus=4" in asked
    assert "-l nodes=1:ppn=6" in directives({"resources.gpus_per_node": 0, "resources.cores_per_rank": 6})


def test_another_cluster_has_other_cores_for_a_gpu():
    assert "-l nodes=1:ppn=24:gpus=1" in directives({"slurm.partition": "litleo"})


def test_days_are_hours_for_qsub():
    assert "-l walltime=49:02:03" in directives({"resources.time": "2-01:02:03"})


def test_memory_is_that_of_all_nodes_together():
    assert "-l mem=128gb" in directives({"resources.nodes": 2, "resources.memory_per_node_gib": 64})


@pytest.mark.parametrize(("mail_type", "letters"), [("ALL", "abe"), ("END,FAIL", "ea"), ("begin", "b")])
def test_mails_are_asked_for_by_letters(mail_type, letters):
    asked = directives({"slurm.mail-type": mail_type}, Settings(mail_user="you@example.org"))
    assert asked[-2:] == [f"-m {letters}", "-M you@example.org"]


def test_without_a_mail_type_no_mail_is_asked_for():
    assert not [line for line in directives({}, Settings(mail_user="you@example.org")) if line.startswith(("-m", "-M"))]


@pytest.mark.parametrize(
    ("overrides", "settings", "sentence"),
    [
        ({"sweep": {"grid": {"train.seed": [1, 2]}}}, {}, r"sweep: .* no arrays"),
        ({"slurm.reservation": "x"}, {}, r"slurm\.reservation: .* --set slurm\.reservation=false"),
        ({"slurm.mail-type": "TIME_LIMIT"}, {}, r"slurm\.mail-type: 'TIME_LIMIT' has no letter"),
        ({}, {"account": "a b"}, r"account: 'a b' cannot stand in a #PBS line"),
        ({"slurm.mail-type": "ALL"}, {"mail_user": "you\n#PBS -q x"}, r"mail_user: .* cannot stand in a #PBS line"),
    ],
)
def test_what_qsub_cannot_be_told_is_refused(overrides, settings, sentence):
    with pytest.raises(JobFileError, match=sentence):
        directives(overrides, Settings(**settings))
