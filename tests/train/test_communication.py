"""Horovod's settings from job file to environment, and what is kept of an autotune."""

import os
import socket

import pytest

from hpcdl.train import communication
from hpcdl.training import Training

LOG = """hierarchical_allreduce,torus_allreduce,cache_enabled,cycle_time_ms,tensor_fusion_threshold,score
0,0, 1,5,4,126.301
0,0, 1,2.5,32,198.4966
0,0, 1,25,16,87.3231
"""
END = "0,0, 1,2.5,32,198.4966\n"


def training(**horovod) -> Training:
    return Training(model="mnist_cnn", data="digits", epochs=1, batch_size=4, horovod=horovod)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """A cache of its own, and an environment without Horovod's variables."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HPCDL_RANKS", "2")
    monkeypatch.delenv("SLURM_CLUSTER_NAME", raising=False)
    for name in list(os.environ):
        if name.startswith("HOROVOD_"):
            monkeypatch.delenv(name)


def prepared(environment=None, **horovod):
    environment = {"HPCDL_RANKS": "2"} | (environment or {})
    communication.prepare(training(**horovod), environment)
    return {name: value for name, value in environment.items() if name.startswith("HOROVOD_")}


def tune(monkeypatch, tmp_path, log=LOG + END):
    monkeypatch.setenv("HOROVOD_AUTOTUNE", "1")
    monkeypatch.setenv("HOROVOD_AUTOTUNE_LOG", str(tmp_path / "log.csv"))
    (tmp_path / "log.csv").write_text(log)
    told = communication.keep_tuned(training(autotune=True), 2, tmp_path)
    monkeypatch.delenv("HOROVOD_AUTOTUNE")
    monkeypatch.delenv("HOROVOD_AUTOTUNE_LOG")
    return told


def test_the_jobs_values_become_horovods_variables_in_its_units():
    assert prepared(fusion_threshold_mib=2.5, cycle_time_ms=0.5) == {
        "HOROVOD_FUSION_THRESHOLD": str(2_621_440),
        "HOROVOD_CYCLE_TIME": "0.5",
    }
    assert prepared() == {}


def test_what_the_user_sets_comes_first():
    assert prepared({"HOROVOD_CYCLE_TIME": "7"}, cycle_time_ms=0.5) == {"HOROVOD_CYCLE_TIME": "7"}


def test_the_first_run_tries_and_the_next_takes_what_it_found(monkeypatch, tmp_path):
    first = prepared(autotune=True)
    assert first["HOROVOD_AUTOTUNE"] == "1"
    assert first["HOROVOD_AUTOTUNE_LOG"].endswith(".csv")
    told = tune(monkeypatch, tmp_path)
    assert "found fusion threshold 32 MiB and cycle time 2.5 ms" in told
    assert (tmp_path / "autotune.csv").read_text() == LOG + END
    assert prepared(autotune=True) == {"HOROVOD_FUSION_THRESHOLD": str(32 * 2**20), "HOROVOD_CYCLE_TIME": "2.5"}
    assert "found by autotune on" in communication.describe(training(autotune=True), 2)


def test_other_ranks_and_other_machines_try_for_themselves(monkeypatch, tmp_path):
    tune(monkeypatch, tmp_path)
    assert "HOROVOD_AUTOTUNE" in prepared({"HPCDL_RANKS": "4"}, autotune=True)
    monkeypatch.setenv("SLURM_CLUSTER_NAME", "othercluster")
    assert "HOROVOD_AUTOTUNE" in prepared(autotune=True)
    assert socket.gethostname() in communication.cache_file().read_text()


def test_one_rank_has_nothing_to_try():
    assert prepared({"HPCDL_RANKS": "1"}, autotune=True) == {}


@pytest.mark.parametrize("log", [LOG, LOG.splitlines()[0], LOG + "0,0, 1,2.", ""], ids=["open", "none", "cut", "empty"])
def test_an_autotune_that_did_not_end_is_not_kept(monkeypatch, tmp_path, log):
    assert "did not come to its end" in tune(monkeypatch, tmp_path, log)
    assert not communication.cache_file().exists()


def test_a_broken_cache_is_as_none():
    communication.cache_file().parent.mkdir(parents=True)
    for text in ("{", "[]", f'{{"mnist_cnn, 2 ranks, {socket.gethostname()}": 3}}'):
        communication.cache_file().write_text(text)
        assert communication.tuned("mnist_cnn", 2) is None


def test_nothing_is_said_where_nothing_was_asked():
    assert communication.describe(training(), 2) is None
    assert communication.describe(training(wire="float16"), 2) == "gradients travel as float16"
