"""The fit and the check of tests/bench/allreduce.py, on times that are known."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "bench"))
import allreduce


def test_the_fit_finds_the_latency_and_bandwidth_that_made_the_times():
    """On 2 ranks: 2 messages and all the bytes once each way."""
    found = allreduce.fit({size: 2 * 7e-6 + size / 3e9 for size in allreduce.SIZES})
    assert found["latency_us"] == pytest.approx(7)
    assert found["gb_per_s"] == pytest.approx(3)
    assert found["worst_ratio"] == pytest.approx(1)
    job = {"alone": [2000.0], "two at once": [1900.0], "two ranks": [1850.0]}
    assert json.loads(json.dumps(allreduce.check(job, found)))["alone"]["measured"] == 1850.0


def test_the_check_says_when_the_model_is_wrong():
    fitted = {"latency_us": 5.0, "gb_per_s": 2.5}  # 2.0 ms for the 5 MB of a step, 1 ms of Horovod's cycle
    job = {"alone": [2000.0], "two at once": [1900.0], "two ranks": [1850.0]}  # 32, 33.7, 34.6 ms a step
    found = allreduce.check(job, fitted)
    assert found["alone"]["predicted_most"] == 2000.0
    assert found["alone"]["predicted_least"] == pytest.approx(64 / (0.032 + 0.001 + 2 * 5e-6 + 5_024_320 / 2.5e9))
    assert found["alone"]["inside"]
    assert not allreduce.check(job | {"two ranks": [1500.0]}, fitted)["alone"]["inside"]
    assert not allreduce.check(job | {"two ranks": [2100.0]}, fitted)["alone"]["inside"]
