"""The ranks of a node share one copy of the data, which one of them has read."""

import json
import re

import pytest

pytestmark = [pytest.mark.mpi, pytest.mark.slow]


@pytest.fixture(scope="module")
def told(run_ranks, tmp_path_factory):
    output = tmp_path_factory.mktemp("share") / "told.json"
    ended = run_ranks("share.py", 4, output)
    assert ended.returncode == 0, ended.stderr
    return json.loads(output.read_text())


def test_one_rank_of_each_node_reads_the_data_and_all_have_them(told):
    assert told["callers"] == [[0], [], [2], []]
    assert len(set(told["digests"])) == 1
    assert len(set(told["sums"])) == 1


def test_the_data_lie_once_on_a_node_and_nothing_stays_behind(told):
    """41 MiB for the two ranks of a node together."""
    assert told["aliased"] == [True] * 4
    for first, second in zip(told["shared_mib"][::2], told["shared_mib"][1::2], strict=True):
        assert first + second == pytest.approx(41, abs=0.5), told["shared_mib"]
    assert told["left"] == []


def test_what_is_read_from_disk_is_shared_as_a_description(told):
    assert told["streamed"] == [[0, 1, 2, 3, 4]] * 4


def test_without_room_or_a_name_every_rank_reads_its_own(told):
    assert len(set(told["no_room"])) == 1
    assert told["no_room"][0] == told["digests"][0]
    assert told["no_room_callers"] == [[0], [1], [2], [3]]
    assert told["unnamed"] == [[0, 1, 2, 3, 4]] * 4
    assert told["unnamed_callers"] == [[0], [1], [2], [3]]


def test_a_node_without_the_data_stops_all(told):
    assert all(re.fullmatch(r"rank 2 on \S+: no data on this node", text) for text in told["refused"])
