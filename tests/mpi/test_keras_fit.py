"""Keras's own `fit` on two ranks: statistics, metrics and seeds are what they must be."""

import json

import numpy as np
import pytest

pytestmark = [pytest.mark.mpi, pytest.mark.slow]


@pytest.fixture(scope="module")
def ranks(run_ranks, tmp_path_factory):
    output = tmp_path_factory.mktemp("fit") / "ranks.json"
    ended = run_ranks("keras_fit.py", 2, output)
    assert ended.returncode == 0, ended.stderr
    return json.loads(output.read_text())


def test_all_ranks_start_from_the_weights_of_rank_0_and_stay_together(ranks):
    assert ranks[0]["weights"] == ranks[1]["weights"]


def test_batch_statistics_are_averaged_by_the_law_of_total_variance(ranks):
    means, variances = (np.array([rank["before"][i] for rank in ranks]) for i in (0, 1))
    assert np.abs(means[0] - means[1]).max() > 1e-4, "the ranks saw different images"
    for rank in ranks:
        np.testing.assert_allclose(rank["after"][0], means.mean(axis=0), rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(rank["after"][1], variances.mean(axis=0) + means.var(axis=0), rtol=1e-5, atol=1e-7)


def test_metrics_are_those_of_all_ranks_together(ranks):
    assert ranks[0]["history"] == ranks[1]["history"]
    local = [rank["local_accuracy"] for rank in ranks]
    assert local[0] != local[1], "the ranks' own accuracies differ, so agreement is no accident"
    assert ranks[0]["history"]["accuracy"][-1] == pytest.approx(np.mean(local), abs=1e-6)
    assert ranks[0]["history"]["val_accuracy"][-1] == pytest.approx(ranks[0]["true_accuracy"], abs=1e-6)


def test_each_rank_drops_out_other_units(ranks):
    assert ranks[0]["seeds"]
    assert ranks[0]["seeds"] != ranks[1]["seeds"]
