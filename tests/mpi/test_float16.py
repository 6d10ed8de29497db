"""In float16 all ranks skip a step when one of them overflows; Keras's own wrapper would let each decide alone."""

import json

import pytest

pytestmark = [pytest.mark.mpi, pytest.mark.slow]


def test_one_rank_that_overflows_makes_all_skip_the_step(run_ranks, tmp_path):
    ended = run_ranks("float16.py", 2, tmp_path / "ranks.json")
    assert ended.returncode == 0, ended.stderr
    first, second = json.loads((tmp_path / "ranks.json").read_text())
    assert first == second
    for way in ("model", "optimizer"):
        assert first[f"{way} 1"]["scale"] == 2.0**9, "the scale was halved because of rank 1's overflow"
        assert first[f"{way} 8"]["weights"] != first[f"{way} 1"]["weights"], "the steps after it were taken"
    assert first["model 8"]["weights"] == first["optimizer 8"]["weights"]
