"""What a site cannot run is refused before it is submitted: the number, the limit, and where the limit comes from."""

import pytest

from hpcdl import resources
from hpcdl.errors import SiteError
from hpcdl.fit import check_gpus, choose_partition
from hpcdl.job import load_job
from hpcdl.site import Site

FACT = {"source": "the manual", "as_of": "2024-05"}
SITE = {
    "name": "test",
    "title": "test",
    "scheduler": "slurm",
    "gpu": {"request": "gres", "per_node": 4, **FACT},
    "partitions": {
        "gpu": {"kind": "gpu", "min_nodes": 2, "max_nodes": 8, "max_time": "1-00:00:00", "cores_per_node": 48, **FACT},
        "small": {"kind": "gpu", "gpus_per_node": 2, **FACT},
        "debug": {"kind": "gpu", "options": {"partition": "gpu", "qos": "debug"}, "max_time": "00:30:00", **FACT},
        "cpu": {"kind": "cpu"},
    },
}


def chosen(overrides: dict, site: dict = SITE):
    job = load_job(resources.folder("jobs") / "mnist_lecture.yaml", {"resources.nodes": 2, **overrides})
    profile = Site.model_validate(site)
    partition = choose_partition(job, profile)
    check_gpus(job.resources, profile, partition)
    return partition and partition.options


@pytest.mark.parametrize(
    ("overrides", "options"),
    [
        ({}, {"partition": "gpu"}),
        ({"resources.gpus_per_node": 0}, {"partition": "cpu"}),
        ({"slurm.partition": False}, {"partition": "gpu"}),
        ({"slurm.partition": "small"}, {"partition": "small"}),
        ({"slurm.qos": "debug", "resources.time": "00:30:00"}, {"partition": "gpu", "qos": "debug"}),
        ({"resources.nodes": 8, "resources.time": "24:00:00", "resources.gpus_per_node": 4}, {"partition": "gpu"}),
        ({"resources.ranks_per_node": 4, "resources.cores_per_rank": 12}, {"partition": "gpu"}),
    ],
)
def test_the_first_partition_for_the_job_is_taken_up_to_its_very_limits(overrides, options):
    assert chosen(overrides) == options


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"resources.nodes": 9}, r"resources\.nodes: 9, .* at most 8 \(as of 2024-05, the manual\)"),
        ({"resources.nodes": 1}, r"resources\.nodes: 1, .* 2 or more"),
        ({"resources.time": "24:00:01"}, r"resources\.time: 24:00:01, .* at most 1-00:00:00"),
        ({"slurm.qos": "debug"}, r"partition debug .* at most 00:30:00"),
        ({"resources.gpus_per_node": 5}, r"gpus_per_node: 5, but a node of site test has 4"),
        ({"resources.gpus_per_node": 3, "slurm.partition": "small"}, r"has 2"),
        ({"slurm.partition": "cpu"}, r"asks for GPUs, but partition cpu .* must be 0"),
        ({"slurm.partition": "gpu", "resources.gpus_per_node": 0}, r"asks for no GPU.* must be at least 1"),
        ({"slurm.partition": "gup"}, r"slurm\.partition: gup: not in the profile.* Did you mean 'gpu'\?"),
        ({"resources.ranks_per_node": 4, "resources.cores_per_rank": 13}, r"52 on each node, .* has 48"),
    ],
)
def test_a_job_beyond_a_limit_is_refused(overrides, sentence):
    with pytest.raises(SiteError, match=sentence):
        chosen(overrides)


def test_a_site_without_partitions_for_the_job_s_kind_says_so():
    gpu_only = SITE | {"partitions": {"gpu": {"kind": "gpu"}}}
    with pytest.raises(SiteError, match="all partitions of site test are for gpu jobs"):
        chosen({"resources.gpus_per_node": 0}, gpu_only)


def test_gpus_at_a_site_that_says_nothing_of_gpus_are_refused():
    with pytest.raises(SiteError, match="says nothing of GPUs"):
        chosen({}, {"name": "test", "title": "test", "scheduler": "slurm"})


def test_gpus_by_rank_must_divide():
    by_rank = SITE | {"gpu": {"request": "gpus-per-task"}}
    with pytest.raises(SiteError, match="4 GPUs cannot be shared equally by 3 ranks"):
        chosen({"resources.gpus_per_node": 4, "resources.ranks_per_node": 3}, by_rank)


def test_what_is_not_known_is_not_checked():
    unknown = SITE | {"gpu": {"request": "gres"}, "partitions": {"gpu": {"kind": "gpu"}}}
    assert chosen({"resources.nodes": 10_000, "resources.gpus_per_node": 64}, unknown) == {"partition": "gpu"}


@pytest.mark.parametrize(
    ("nodes", "longest"), [(91, "02:00:00"), (92, "06:00:00"), (183, "06:00:00"), (184, "12:00:00")]
)
def test_the_longest_time_may_depend_on_the_number_of_nodes(nodes, longest):
    steps = [{"nodes": 91, "max_time": "02:00:00"}, {"nodes": 183, "max_time": "06:00:00"}]
    batch = {"kind": "gpu", "max_time_by_nodes": steps, "max_time": "12:00:00", **FACT}
    site = SITE | {"partitions": {"batch": batch}}
    assert chosen({"resources.nodes": nodes, "resources.time": longest}, site)
    with pytest.raises(SiteError, match=f"at most {longest} to a job of {nodes} nodes"):
        chosen({"resources.nodes": nodes, "resources.time": longest[:-1] + "1"}, site)


def test_the_product_of_nodes_and_time_may_be_limited():
    site = SITE | {"partitions": {"debug": {"kind": "gpu", "max_node_time": "01:30:00", **FACT}}}
    assert chosen({"resources.time": "00:45:00"}, site)
    with pytest.raises(SiteError, match=r"2 nodes for 00:45:01, .* at most 01:30:00 of one node's time"):
        chosen({"resources.time": "00:45:01"}, site)


def test_a_job_that_wants_more_memory_than_a_node_has_is_refused():
    site = SITE | {"partitions": {"gpu": {"kind": "gpu", "memory_gib": 480, **FACT}}}
    assert chosen({"resources.memory_per_node_gib": 480}, site)
    with pytest.raises(SiteError, match=r"memory_per_node_gib: 481, but a node of .* has 480"):
        chosen({"resources.memory_per_node_gib": 481}, site)
