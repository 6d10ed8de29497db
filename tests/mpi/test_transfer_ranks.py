"""Two ranks with half the batch transfer as one rank does: from the same features, in the same stages, in step."""

import keras
import numpy as np
import pytest

pytestmark = [pytest.mark.mpi, pytest.mark.slow]


def test_two_ranks_reach_what_one_reaches(run_ranks, tmp_path):
    folders = {ranks: tmp_path / str(ranks) for ranks in (1, 2)}
    source = folders[1] / "source"  # the same for both: a new last layer depends on the source's weights
    for ranks, folder in folders.items():
        ended = run_ranks("transfer.py", ranks, folder, *([source] if ranks == 2 else []))
        assert ended.returncode == 0, ended.stderr
    for name, still in {"head": [True] * 6, "stages": [True] * 2 + [False] * 4}.items():
        one, two = (weights(folder / name) for folder in folders.values())
        for reached in (one, two):
            unchanged = [(new == old).all() for new, old in zip(reached[:6], weights(source)[:6], strict=True)]
            assert unchanged == still, "frozen is frozen, to the last bit"
        for mine, other in zip(one, two, strict=True):
            np.testing.assert_allclose(other, mine, rtol=0, atol=2e-6)
            assert np.isfinite(mine).all()


def weights(folder) -> list[np.ndarray]:
    return keras.models.load_model(folder / "model.keras").get_weights()
