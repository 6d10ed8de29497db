"""The formulas of `hpcdl predict`: worked out by hand, at their limits, and against published curves."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcdl.scaling.model import BACKWARD, Bracket, Links, Step, allreduce_s, allreduces, step_s
from hpcdl.scaling.peaks import peak_flops
from hpcdl.site import load_site, site_files

NO_LATENCY = Bracket(0.0, 0.0)


def test_two_nodes_by_hand():
    """2 (p - 1) / p = 1: 8 MB at 2 MB/s are 4 s. A ring takes 2 messages, Rabenseifner's algorithm 2 log2 2 = 2."""
    links = Links(2e6, Bracket(0.1, 0.5))
    step = Step(compute_s=3.0, gradient_bytes=8_000_000, allreduces=3, wait_s=0.25)
    assert allreduce_s(step, 2, 1, links) == Bracket(pytest.approx(4 + 2 * 3 * 0.1), pytest.approx(4 + 2 * 3 * 0.5))
    # Least: 1 s forward, then 4.6 s of allreduce beside 2 s backward. Most: all in a row.
    assert step_s(step, 2, 1, links) == Bracket(pytest.approx(1 + 4.6), pytest.approx(3 + 0.25 + 7))


def test_two_nodes_of_four_ranks_by_hand():
    """At best nodes reduce inside first: the network carries 2 x 1/2 of the bytes, each rank inside 2 x 3/4."""
    step = Step(1.0, 8_000_000)
    fast_inside = Links(1e6, NO_LATENCY, inner_bandwidth=100e6)
    slow_inside = Links(1e6, NO_LATENCY, inner_bandwidth=0.5e6)
    assert allreduce_s(step, 2, 4, fast_inside).least == pytest.approx(8)
    assert allreduce_s(step, 2, 4, slow_inside).least == pytest.approx(1.5 * 8 / 0.5)
    # At worst one ring of 8 ranks, 2 x 7/8 of the bytes through its slowest link.
    assert allreduce_s(step, 2, 4, fast_inside).most == pytest.approx(14)
    assert allreduce_s(step, 2, 4, slow_inside).most == pytest.approx(28)


def test_the_network_does_not_count_on_one_node_whose_inside_is_known():
    inside = Links(1.0, NO_LATENCY, inner_bandwidth=1e6)
    assert allreduce_s(Step(1.0, 1_000_000), 1, 2, inside) == Bracket(pytest.approx(1.0), pytest.approx(1.0))


def test_an_unknown_inside_is_endless_at_best_and_the_network_at_worst():
    assert allreduce_s(Step(1.0, 1_000_000), 1, 2, Links(1e6, NO_LATENCY)) == Bracket(0.0, pytest.approx(1.0))


def test_a_ring_waits_for_each_rank_and_the_best_algorithm_for_the_logarithm():
    assert allreduce_s(Step(1.0, 0), 64, 8, Links(1.0, Bracket(1e-6, 1e-6))) == Bracket(
        pytest.approx(18e-6), pytest.approx(1022e-6)
    )
    # Three ranks need as many rounds as four.
    assert allreduce_s(Step(1.0, 0), 3, 1, Links(1.0, Bracket(1.0, 1.0))) == Bracket(4.0, 4.0)


def test_one_rank_never_communicates():
    assert step_s(Step(2.0, 10**9, wait_s=1.0), 1, 1, Links(1.0, Bracket(1, 1))) == Bracket(2.0, 2.0)


@pytest.mark.parametrize(("gradient_bytes", "bandwidth"), [(0, 1.0), (10**9, 1e30)])
def test_without_bytes_or_with_endless_bandwidth_nothing_is_lost(gradient_bytes, bandwidth):
    found = step_s(Step(2.0, gradient_bytes), 128, 4, Links(bandwidth, NO_LATENCY))
    assert found == Bracket(pytest.approx(2.0), pytest.approx(2.0))


def test_the_backward_pass_hides_as_much_as_it_lasts():
    links = Links(1.0, NO_LATENCY)
    hidden = Step(compute_s=3.0, gradient_bytes=2)  # 2 s of allreduce on 2 nodes, 2 s of backward pass
    assert BACKWARD * 3.0 == 2.0
    assert step_s(hidden, 2, 1, links) == Bracket(3.0, 5.0)
    assert step_s(Step(3.0, 3), 2, 1, links).least == 4.0


@given(
    gradient_bytes=st.integers(0, 10**10),
    nodes=st.integers(1, 1024),
    ranks_per_node=st.integers(1, 16),
    bandwidth=st.floats(1e6, 1e12),
    inner=st.none() | st.floats(1e6, 1e12),
    latency=st.floats(0, 1e-3),
)
def test_the_bracket_is_in_order_and_never_better_than_computing(
    gradient_bytes, nodes, ranks_per_node, bandwidth, inner, latency
):
    step = Step(0.1, gradient_bytes, allreduces(gradient_bytes, 2**27), wait_s=0.001)
    links = Links(bandwidth, Bracket(latency, latency), inner)
    found = step_s(step, nodes, ranks_per_node, links)
    assert 0.1 <= found.least <= found.most * (1 + 1e-12)


def test_gradients_fill_buffers():
    assert [allreduces(size, 128) for size in (0, 1, 128, 129, 1280)] == [1, 1, 1, 2, 10]


PUBLISHED = [
    # network, trained parameters, batch and images/s of one GPU, GPUs, of one server, Gbit/s, published efficiency
    ("Inception V3", 23_817_352, 64, 142, 512, 4, 25, 0.90),
    ("ResNet-101", 44_549_160, 64, 1656.82 / 16, 512, 4, 25, 0.90),
    ("VGG-16", 138_357_544, 64, 154, 512, 4, 25, 0.68),
    ("Inception V3", 23_817_352, 64, 142, 128, 4, 25, 0.90),
    ("ResNet-101", 44_549_160, 64, 1656.82 / 16, 128, 4, 25, 0.90),
    ("VGG-16", 138_357_544, 64, 154, 128, 4, 25, 0.79),
    ("ResNet-50", 25_557_032, 32, 32 / 0.120 * BACKWARD, 256, 8, 50, 0.90),
]
"""Horovod: 512 GPUs from its docs/benchmarks.rst, 128 from its README of 2017. Images/s of a P100: the benchmarks page
of TensorFlow 1 (142 and 154); ResNet-101 is not there, so that it is Horovod's example of 16 GPUs, 1656.82 images/s.
ResNet-50: Goyal et al. 2017 (arXiv:1706.02677), who give 120 ms for the backward pass on a P100."""


def efficiency(parameters, batch, images_per_s, gpus, per_server, gbit_per_s):
    """The model with Horovod's buffer and cycle, latency and the inside of a server not known."""
    step = Step(batch / images_per_s, 4 * parameters, allreduces(4 * parameters, 128 * 2**20), wait_s=0.001)
    links = Links(gbit_per_s * 1e9 / 8, Bracket(2.7e-6, 14e-6))
    return step_s(step, gpus // per_server, per_server, links).map(lambda one: step.compute_s / one)


@pytest.mark.parametrize("case", PUBLISHED, ids=lambda case: f"{case[0]}-{case[4]}")
def test_what_was_published_lies_in_the_bracket(case):
    found = efficiency(*case[1:-1])
    assert found.least < case[-1] < found.most
    assert found.most - found.least < 0.4  # a bracket that holds everything would prove nothing


def test_the_page_shows_what_the_model_says_of_the_published_curves():
    rows = []
    for network, parameters, batch, images_per_s, gpus, per_server, gbit_per_s, published in PUBLISHED:
        found = efficiency(parameters, batch, images_per_s, gpus, per_server, gbit_per_s)
        rows.append(
            f"| {network} | {batch} | {images_per_s:.0f} | {gpus} | {gbit_per_s} | {published:.2f} | "
            f"{found.least:.2f}-{found.most:.2f} |"
        )
    page = (Path(__file__).parent.parent / "docs" / "scaling.md").read_text()
    assert "\n".join(rows) in page


def test_the_network_with_the_most_bytes_for_its_computing_scales_worst():
    vgg, inception = efficiency(*PUBLISHED[2][1:-1]), efficiency(*PUBLISHED[0][1:-1])
    assert vgg.least < inception.least
    assert vgg.most < inception.most


def test_peaks_are_found_under_the_names_of_the_profiles():
    assert peak_flops("A100 40 GB", "bfloat16") == 312e12
    assert peak_flops("A100", "auto") == 312e12
    assert peak_flops("Tesla K80", "float32") == 4.4e12
    assert peak_flops("Tesla K80", "auto") == 4.4e12
    assert peak_flops("Tesla K80", "bfloat16") is None
    assert peak_flops("H100 NVL 96 GB", "float16") == 989e12
    assert peak_flops("GH200, 96 GB", "float16") == 989e12
    assert peak_flops("MI250X (one of its two dies)", "float32") == 47.9e12
    assert peak_flops("RTX 4090", "float32") is None


@pytest.mark.parametrize("name", site_files())
def test_each_gpu_of_a_profile_has_a_peak(name):
    site = load_site(name)
    models = {site.gpu.model if site.gpu else None, *(partition.gpu_model for partition in site.partitions.values())}
    for model in models - {None}:
        assert peak_flops(model, "float32"), model
