"""Some classes of a data set, and so many examples of each: from arrays and from streams alike."""

import numpy as np
import pytest

from hpcdl.data import Data
from hpcdl.errors import DataError
from hpcdl.train.data import load_dataset
from hpcdl.train.data.dataset import Dataset
from hpcdl.train.data.select import select
from hpcdl.train.data.stream import Stream

LABELS = np.array([2, 0, 1, 2, 0, 1, 2, 0, 1, 2], np.int64)
NAMES = ("ant", "bee", "cow")


def dataset(streamed=False) -> Dataset:
    """Each image holds its own number."""
    images = np.broadcast_to(np.arange(10, dtype=np.uint8)[:, None, None, None], (10, 4, 4, 1)).copy()
    inputs = Stream(lambda row: images[row], range(10), (4, 4, 1), np.uint8, "ten") if streamed else images
    return Dataset("ten", inputs, LABELS, inputs, LABELS, 3, NAMES)


def numbers(inputs) -> list[int]:
    return np.asarray(inputs)[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("streamed", [False, True])
def test_classes_are_numbered_anew_in_training_and_test(streamed):
    part = select(dataset(streamed), classes=["cow", 0])
    assert (part.num_classes, part.class_names) == (2, ("cow", "ant"))
    assert numbers(part.train_inputs) == numbers(part.test_inputs) == [0, 1, 3, 4, 6, 7, 9]
    assert part.train_targets.tolist() == part.test_targets.tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert part.digest != dataset(streamed).digest
    assert numbers(part.train_inputs[2:4]) == [3, 4]


@pytest.mark.parametrize("streamed", [False, True])
def test_so_many_of_each_class_the_first_ones_or_drawn(streamed):
    part = select(dataset(streamed), per_class=2)
    assert numbers(part.train_inputs) == [0, 1, 2, 3, 4, 5]
    assert len(part.test_inputs) == 10, "the test is whole"
    draws = [numbers(select(dataset(streamed), per_class=2, seed=seed).train_inputs) for seed in (1, 1, 2, 3, 4)]
    assert draws[0] == draws[1]
    assert len(set(map(tuple, draws))) > 2
    for draw in draws:
        assert sorted(LABELS[draw].tolist()) == [0, 0, 1, 1, 2, 2]
    identities = {select(dataset(streamed), per_class=2, seed=seed).digest for seed in (1, 2, 3, 4)}
    assert len(identities) == len(set(map(tuple, draws)))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"classes": ["ant", "be"]}, "ten has no class 'be'. Did you mean bee?"),
        ({"classes": [0, 3]}, "ten has no class 3. It has the numbers 0 to 2 and their names: ant, bee, cow"),
        ({"classes": [0, "ant"]}, "has a class twice"),
        ({"per_class": 4}, "ten has 3 training examples of class ant, not 4"),
    ],
)
def test_what_is_not_there_is_refused(options, sentence):
    with pytest.raises(DataError, match=f"train.data.{next(iter(options))}: .*{sentence}"):
        select(dataset(), **options)


def test_a_job_may_ask_it_of_any_data_set_with_classes(tmp_path, monkeypatch):
    part = load_dataset(Data(name="digits", classes=[8, 9], per_class=5, seed=3))
    assert len(part.train_inputs) == 10
    whole = load_dataset("digits")
    drawn = {image.tobytes() for image in part.train_inputs}
    assert drawn <= {image.tobytes() for image in whole.train_inputs[whole.train_targets >= 8]}
    rendered = load_dataset(Data(name="ecg", num_train=40, num_test=10, seed=3, per_class=2))
    assert np.bincount(rendered.train_targets).tolist() == [2] * 5
    with pytest.raises(DataError, match=r"train\.data\.seed: digits has no such option; it takes classes, per_class"):
        load_dataset(Data(name="digits", seed=3))
    with pytest.raises(DataError, match=r"train\.data\.classes: the targets of football are numbers, not classes"):
        load_dataset(Data(name="football", num_train=4, num_test=2, classes=[0, 1]))
    (tmp_path / "few.py").write_text(
        "from hpcdl.train.data import load_dataset\ndef digits(): return load_dataset('digits')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own = load_dataset(Data(name="few:digits", classes=[8, 9], per_class=5, seed=3))
    assert own.digest == part.digest
