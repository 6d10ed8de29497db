"""Parameter sweeps: which points there are, and what is refused before any of them is submitted."""

import pytest

from hpcdl.errors import JobFileError
from hpcdl.job import load_job
from hpcdl.points import choose_point, load_points

JOB = """\
name: rates
resources: {time: "01:00:00"}
train: {model: mnist_cnn, data: mnist, epochs: 5, batch_size: 64}
"""


@pytest.fixture
def points(tmp_path):
    """Return a function that reads the points of a job with the given sweep."""

    def read(sweep: str) -> list[dict]:
        (tmp_path / "job.yaml").write_text(f"{JOB}sweep: {sweep}\n")
        return load_points(tmp_path / "job.yaml")

    return read


def test_a_grid_is_every_combination_the_last_key_fastest(points):
    found = points("{grid: {train.epochs: [1, 2], train.seed: [3, 4]}}")
    assert [tuple(point.values()) for point in found] == [(1, 3), (1, 4), (2, 3), (2, 4)]


def test_zip_takes_values_side_by_side(points):
    assert points("{zip: {train.epochs: [1, 2], train.seed: [3, 4]}}") == [
        {"train.epochs": 1, "train.seed": 3},
        {"train.epochs": 2, "train.seed": 4},
    ]


def test_grid_zip_and_points_are_combined(points):
    found = points("{grid: {train.seed: [1, 2]}, zip: {train.epochs: [3, 4]}, points: [{train.batch_size: 8}]}")
    assert [tuple(point.values()) for point in found] == [(1, 3, 8), (1, 4, 8), (2, 3, 8), (2, 4, 8)]


def test_an_excluded_value_takes_out_all_its_points(points):
    sweep = "{grid: {train.epochs: [1, 2], train.seed: [3, 4]}, exclude: [{train.epochs: 2}, {train.seed: 4}]}"
    assert points(sweep) == [{"train.epochs": 1, "train.seed": 3}]


@pytest.mark.parametrize(
    ("sweep", "sentence"),
    [
        ("{throttle: 2}", "nothing to sweep"),
        ("{grid: {train.seed: []}}", r"train\.seed: an empty list"),
        ("{grid: {resources.nodes: [1, 2]}}", r"resources\.nodes: only values of the training"),
        ("{grid: {train.seed: [1]}, zip: {train.seed: [1]}}", r"train\.seed: stands in more than one"),
        ("{zip: {train.seed: [1, 2], train.epochs: [1]}}", r"differ in length \(train\.seed 2, train\.epochs 1\)"),
        ("{grid: {train.seed: [1, 2]}, exclude: [{train.seed: 3}]}", r"no point has train\.seed 3"),
        ("{grid: {train.seed: [1]}, exclude: [{train.seed: 1}]}", "leaves no point"),
        ("{grid: {train.epoch: [1, 2]}}", r"point 0 .*: train\.epoch: unknown key\. Did you mean 'epochs'"),
        ("{grid: {train.epochs: [1, 0]}}", r"point 1 .*: train\.epochs: 0 is not allowed"),
    ],
)
def test_a_sweep_with_a_fault_is_refused(sweep, sentence, points):
    with pytest.raises(JobFileError, match=sentence):
        points(sweep)


def test_each_rank_reads_the_same_point_of_the_same_file(points, tmp_path):
    points("{grid: {train.epochs: [1, 2]}}")
    path = tmp_path / "job.yaml"
    job = load_job(path, choose_point(path, {"train.seed": 7}, 1))
    assert (job.training.epochs, job.training.seed, job.sweep) == (2, 7, None)


@pytest.mark.parametrize("number", [None, 2])
def test_a_sweep_is_not_trained_as_a_whole_nor_beyond_its_end(number, points, tmp_path):
    points("{grid: {train.epochs: [1, 2]}}")
    with pytest.raises(JobFileError, match=r"has the points 0 to 1; choose one by --point"):
        choose_point(tmp_path / "job.yaml", {}, number)


def test_a_job_without_a_sweep_has_no_points(tmp_path):
    (tmp_path / "job.yaml").write_text(JOB)
    assert choose_point(tmp_path / "job.yaml", {"train.seed": 7}, None) == {"train.seed": 7}
    with pytest.raises(JobFileError, match="has no sweep; leave out --point"):
        choose_point(tmp_path / "job.yaml", {}, 0)
    with pytest.raises(JobFileError, match="has no points"):
        load_points(tmp_path / "job.yaml")


def test_a_command_is_swept_by_its_variables(tmp_path):
    (tmp_path / "job.yaml").write_text(
        "name: x\nresources: {time: '01:00:00'}\ncommand: x\nsweep: {grid: {train.seed: [1]}}\n"
    )
    with pytest.raises(JobFileError, match=r"train\.seed: a command gets its values as variables"):
        load_job(tmp_path / "job.yaml")
