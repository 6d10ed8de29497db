"""A user's own data by package.module:function, and what is said of one that cannot be had."""

import sys

import numpy as np
import pytest

from hpcdl.data import Data
from hpcdl.errors import DataError
from hpcdl.train.data.own import load_own

MODULE = """
import numpy as np
from hpcdl.train.data import Dataset

def made(count=4):
    images, classes = np.zeros((count, 8, 8, 1), np.uint8), np.arange(count) % 2
    return Dataset("made", images, classes, images, classes, 2)

def a_number():
    return 3

def failing():
    return np.no_such_name
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "own_data.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("own_data", None)


def test_a_function_of_ones_own_gives_the_data(folder):
    made = load_own(Data.model_validate({"name": "own_data:made", "arguments": {"count": 6}}))
    assert (len(made.train_inputs), made.num_classes) == (6, 2)
    assert made.train_targets.dtype == np.int64


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("own_dat:made", "there is no module own_dat in {folder}"),
        ("own_data:mad", "{folder}/own_data.py has no function 'mad'. Did you mean 'made'?"),
        ("own_data:failing", "own_data:failing failed at {folder}/own_data.py:13: AttributeError: "),
        ("own_data:a_number", "own_data:a_number returned a int, not a hpcdl.train.data.Dataset."),
    ],
)
def test_what_cannot_be_had_is_said_in_one_sentence(folder, name, text):
    with pytest.raises(DataError) as raised:
        load_own(Data.model_validate({"name": name}))
    assert str(raised.value).startswith("train.data: " + text.format(folder=folder))
    assert "\n" not in str(raised.value)
