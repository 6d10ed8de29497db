"""Repeats, speed-up and comparison: the numbers, and which runs count."""

import math
import statistics

import pytest
from run_folders import make_run, series

from hpcdl.collector import Row, collect_rows
from hpcdl.collector.columns import with_spread
from hpcdl.collector.compare import T_95, beyond_spread
from hpcdl.collector.table import Request, build
from hpcdl.errors import CollectError


@pytest.fixture
def rows(tmp_path):
    return collect_rows([series(tmp_path / "runs")], pytest.fail)


def cells(table, number: int) -> dict[str, str]:
    return {column.header: column.text(table.records[number]) for column in table.shown}


def test_repeats_are_mean_deviation_and_n_of_the_runs_that_completed(rows):
    table = build(rows, Request(repeats=True))
    assert [record.values["ranks"] for record in table.records] == [1, 2, 4]
    last = table.records[2].values
    accuracies = [0.983, 0.984, 0.985]
    assert last["test_accuracy"] == pytest.approx(statistics.fmean(accuracies))
    assert last["test_accuracy_std"] == pytest.approx(statistics.stdev(accuracies))
    assert (last["test_accuracy_n"], last["runs"], last["completed"]) == (3, 4, 3)
    assert last["outcome"] == "3 completed, 1 crash"
    assert last["cause"] == "mnist-bad: rank 3 on node1: weights differ"
    shown = cells(table, 2)
    assert (shown["test accuracy"], shown["runs"]) == ("0.9840 ± 0.0010", "3 of 4")
    assert ("mnist-bad", "rank 3 on node1: weights differ") in [
        (run, line.split(" (")[0]) for run, line in table.remarks
    ]


def test_the_seed_alone_makes_a_repeat(tmp_path):
    make_run(tmp_path, "a", seed=1)
    make_run(tmp_path, "b", seed=2)
    make_run(tmp_path, "c", seed=1, train={"batch_size": 32})
    make_run(tmp_path, "d", seed=1, job="other")
    make_run(tmp_path, "e", seed=1, ranks=2)
    table = build(collect_rows([tmp_path], pytest.fail), Request(repeats=True))
    assert [record.values["run"] for record in table.records] == ["a, b", "c", "d", "e"]
    assert "batch_size" in cells(table, 0)  # what tells the rows apart is shown
    assert table.records[1].values["test_accuracy_std"] is None


def test_logs_of_an_unknown_job_repeat_nothing_unless_it_is_said_what_makes_them_equal():
    rows = [Row(name, job="x", ranks=2, outcome="completed", loss=loss) for name, loss in (("a", 0.5), ("b", 0.7))]
    assert len(build(rows, Request(repeats=True)).records) == 2
    (record,) = build(rows, Request(repeats=True, group_by=["job"])).records
    assert record.values["loss"] == pytest.approx(0.6)


def test_speedup_is_against_the_smallest_runs_of_the_group(rows):
    table = build(rows, Request(repeats=True, speedup=True))
    base = 1020.0
    for record, ranks in zip(table.records, (1, 2, 4), strict=True):
        speed = 1000 * ranks**0.9 + 20
        assert record.values["speedup"] == pytest.approx(speed / base)
        assert record.values["efficiency"] == pytest.approx(speed / base / ranks)


def test_speedup_never_crosses_groups_and_starts_from_the_fewest_ranks_there():
    rows = [
        Row("a", job="x", ranks=2, images_per_s=100.0),
        Row("b", job="x", ranks=4, images_per_s=150.0),
        Row("c", job="y", ranks=1, images_per_s=7.0),
        Row("d", ranks=1, images_per_s=7.0),  # of no known job
        Row("e", job="z", ranks=1, epoch_s=30.0),
        Row("f", job="z", ranks=2, epoch_s=20.0),
        Row("g", job="x", images_per_s=100.0),
    ]
    found = {record.rows[0].run: record.values for record in build(rows, Request(speedup=True)).records}
    assert (found["b"]["speedup"], found["b"]["efficiency"]) == (1.5, 0.75)
    assert (found["c"]["speedup"], found["d"]["speedup"], found["g"]["speedup"]) == (1.0, None, None)
    assert found["f"]["speedup"] == pytest.approx(1.5)


def test_group_by_brings_together_and_comes_first(rows):
    table = build(rows, Request(group_by=["train.seed"], sort=["-ranks"]))
    assert [record.rows[0].run for record in table.records][:4] == ["mnist-4-1", "mnist-2-1", "mnist-1-1", "mnist-4-2"]
    assert table.columns[0] == "train.seed"
    assert [column.header for column in table.shown][:2] == ["run", "seed"]


def test_compare_says_what_differs_in_job_and_result(rows):
    table = build(rows, Request(compare=("mnist-1-1", "mnist-4-2")))
    found = {record.values["column"]: record.values for record in table.records}
    assert (found["ranks"]["a"], found["ranks"]["b"], found["ranks"]["part"]) == ("1", "4", "job")
    assert "train.seed" not in [name for name, values in found.items() if values["a"] == values["b"]]
    assert found["test_accuracy"]["a"] == "0.9900 ± 0.0010 (n=3)"
    assert found["test_accuracy"]["change"] == pytest.approx(-0.006)
    assert found["test_accuracy"]["beyond_spread"] is True
    assert found["loss"]["beyond_spread"] is False
    assert found["outcome"]["b"] == "3 completed, 1 crash"
    assert "A: 3 runs: mnist-1-1, mnist-1-2, mnist-1-3" in table.notes


def test_compare_of_two_repeats_is_of_these_two_alone(rows):
    table = build(rows, Request(compare=("mnist-1-1", "mnist-1-3")))
    found = {record.values["column"]: record.values for record in table.records}
    assert found["train.seed"]["b"] == "3"
    assert (found["test_accuracy"]["a_n"], found["test_accuracy"]["beyond_spread"]) == (1, None)


def test_compare_takes_conditions(rows):
    table = build(rows, Request(compare=("ranks == 1", "ranks == 2")))
    assert table.notes[1].startswith("B: 3 runs")


@pytest.mark.parametrize(
    ("side", "said"),
    [("mnist-9", "no run is called 'mnist-9'; there are mnist-1-1"), ("ranks == 9", "holds for no run")],
)
def test_compare_with_what_is_not_there(rows, side, said):
    with pytest.raises(CollectError, match=said):
        build(rows, Request(compare=("mnist-1-1", side)))


def test_beyond_spread_is_the_test_of_welch():
    # Welch's t is 2.449 with 4 degrees of freedom here, p = 0.0705; in the second pair 3.674, p = 0.0213.
    assert beyond_spread([1, 2, 3], [3, 4, 5]) is False
    assert beyond_spread([1, 2, 3], [4, 5, 6]) is True
    assert beyond_spread([1], [2, 3]) is None
    assert beyond_spread([1, 1], [2, 2]) is True
    assert beyond_spread([1, 1], [1, 1]) is False
    assert list(T_95) == sorted(T_95, reverse=True)


@pytest.mark.parametrize(
    ("mean", "deviation", "text"),
    [
        (0.99312, 0.00127, "0.9931 ± 0.0013"),
        (0.99312, 0.0036, "0.993 ± 0.004"),
        (12345.6, 96.0, "12,350 ± 100"),
        (12345.6, 951.0, "12,300 ± 1,000"),
        (0.5, 0.0, "0.5 ± 0"),
        (1e-30, 1e-31, "1.000e-30 ± 1.0e-31"),
        (math.inf, 1.0, "inf ± 1"),
    ],
)
def test_the_deviation_decides_the_digits(mean, deviation, text):
    assert with_spread(mean, deviation) == text
