"""The page of `hpcdl report` shows what `hpcdl look` left in a run's folder, and only files of that folder."""

import base64
import json

import pytest

from hpcdl.collector.row import Row
from hpcdl.report.looks import looks


@pytest.fixture
def run(tmp_path):
    """A run's row, and a function that writes the index of its look."""
    (tmp_path / "look").mkdir()
    (tmp_path / "look" / "filters.png").write_bytes(b"picture")
    (tmp_path / "secret.png").write_bytes(b"secret")

    def write(png: object) -> Row:
        index = {"of": "a seven", "pictures": [{"about": "Filters.", "png": png}]}
        (tmp_path / "look" / "index.json").write_text(json.dumps(index))
        return Row("mnist", files=[str(tmp_path / "mnist_out.1"), str(tmp_path / "record.json")])

    return write


def test_a_look_is_found_once_with_its_pictures(run):
    (found,) = looks([run("filters.png"), Row("other", files=["/nowhere/log"])])
    assert (found.run, found.of) == ("mnist", "a seven")
    assert found.pictures == [("Filters.", base64.b64encode(b"picture").decode())]


@pytest.mark.parametrize("png", ["../secret.png", "/etc/passwd", "absent.png", 7, None])
def test_an_index_that_points_elsewhere_is_left_out(run, png):
    assert looks([run(png)]) == []
