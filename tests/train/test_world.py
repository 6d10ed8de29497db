"""What one process alone can know of its world."""

import subprocess
import sys

import pytest

from hpcdl.train.world import World, WorldError, asked_size


class Ranks:
    """A stand-in for mpi4py's communicator that answers an allgather with given values: other ranks cannot be had
    inside one test process. The real one is tested in tests/mpi."""

    def __init__(self, values):
        self.values = values

    def allgather(self, value):
        return self.values


def test_the_launchers_word_counts_in_order():
    assert asked_size({}) is None
    assert asked_size({"SLURM_NTASKS": "4"}) == (4, "SLURM_NTASKS")
    assert asked_size({"SLURM_NTASKS": "4", "HPCDL_RANKS": "2"}) == (2, "HPCDL_RANKS")
    assert asked_size({"OMPI_COMM_WORLD_SIZE": "3"}) == (3, "OMPI_COMM_WORLD_SIZE")
    assert asked_size({"HPCDL_RANKS": "", "SLURM_NTASKS": "8"}) == (8, "SLURM_NTASKS")


def test_a_disagreement_names_the_rank_that_differs_from_most():
    us = World(0, 3, 0, 3, "node01", Ranks([("node01", "a"), ("node02", "b"), ("node03", "a")]))
    with pytest.raises(
        WorldError, match=r"^the data differs: rank 1 on node02 has 'b', most ranks have 'a'\. Copy it\.$"
    ):
        us.agree("the data", "a", "Copy it.")


def test_agreement_passes_and_one_rank_always_agrees():
    World(0, 2, 0, 2, "h", Ranks([("h", 1), ("i", 1)])).agree("x", 1, "")
    World(0, 1, 0, 1, "h").agree("x", 1, "")


@pytest.mark.slow
def test_without_horovod_one_rank_works_and_more_are_refused(tmp_path):
    (tmp_path / "horovod.py").write_text("raise ImportError('not here')")
    program = "from hpcdl.train.world import world; print(world().size)"
    for ranks, expected in (("1", 0), ("2", 1)):
        ended = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": f"{tmp_path}:{':'.join(sys.path)}", "HPCDL_RANKS": ranks},
            capture_output=True,
            text=True,
        )
        assert ended.returncode == expected
        if expected:
            assert "2 ranks were asked for (HPCDL_RANKS=2), but there are 1: Horovod cannot be imported" in ended.stderr
        else:
            assert ended.stdout == "1\n"
