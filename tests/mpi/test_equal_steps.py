"""2 ranks with batch b take the steps of 1 rank with batch 2b, in every way of training that hpcdl offers."""

import numpy as np
import pytest

pytestmark = [pytest.mark.mpi, pytest.mark.slow]

WAYS = {
    **dict.fromkeys(["functional", "sequential", "micro_batches", "optimizer", "optimizer_adam"], 1e-6),
    **dict.fromkeys(["trainer", "trainer_lars", "trainer_lamb", "trainer_images", "streamed"], 1e-6),
    **dict.fromkeys(["trainer_adam", "trainer_adam_allreduce"], 1e-6),
    "trainer_wire": 3e-4,  # gradients that are rounded to float16 lead a little elsewhere
}
"""Each way of training, and by how much its weights may differ."""
GLOBAL_BATCH = 48


@pytest.fixture(scope="module")
def weights(run_ranks, tmp_path_factory):
    """The weights after six steps by number of ranks, and those of two ranks without the allreduce."""
    folder = tmp_path_factory.mktemp("weights")
    cases = {"one": (1, []), "two": (2, []), "alone": (2, ["alone"])}
    for name, (num_ranks, more) in cases.items():
        ended = run_ranks("equal_steps.py", num_ranks, folder / f"{name}.npz", GLOBAL_BATCH, *more)
        assert ended.returncode == 0, ended.stderr
    return {name: np.load(folder / f"{name}.npz") for name in cases}


@pytest.mark.parametrize("way", WAYS)
def test_two_ranks_take_the_steps_of_one(weights, way):
    np.testing.assert_allclose(weights["two"][way], weights["one"][way], rtol=0, atol=WAYS[way])
    assert weights["two"][f"{way}_equal"], "the two ranks hold different weights"


def test_the_large_dense_kernel_is_gathered_where_the_job_does_not_forbid_it(weights):
    found = {way: int(weights["two"][f"{way}_gathered"]) for way in WAYS}
    assert {way for way, kernels in found.items() if kernels} == {
        *("trainer", "trainer_lars", "trainer_images", "streamed", "trainer_adam", "trainer_wire")
    }
    assert not any(weights["one"][f"{way}_gathered"] for way in WAYS)


def test_gradients_travel_in_buckets_of_the_size_that_the_job_says(weights):
    assert weights["two"]["trainer_adam_buckets"] == 1
    assert weights["two"]["trainer_adam_allreduce_buckets"] > 2


def test_weights_that_come_with_the_first_step_are_those_of_rank_0(weights):
    assert weights["two"]["optimizer_late_weights_equal"]
    assert not weights["alone"]["optimizer_late_weights_equal"]


def test_averaged_weights_and_statistics_are_the_same_on_all_ranks(weights):
    assert weights["two"]["statistics_equal"]
    assert weights["two"]["average_differs"] > 1e-3
    assert not weights["alone"]["statistics_equal"]


@pytest.mark.parametrize("way", WAYS)
def test_without_the_allreduce_they_do_not(weights, way):
    """The proof that the test above can fail: ranks that train alone end elsewhere."""
    assert np.abs(weights["alone"][way] - weights["one"][way]).max() > max(1e-4, 5 * WAYS[way])
    assert not weights["alone"][f"{way}_equal"]
