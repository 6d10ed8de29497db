"""Names and numbers in lines of text, and the examples in the collector's documentation."""

import doctest
import importlib
import pkgutil

import pytest

import hpcdl.collector
from hpcdl.collector.readers.pairs import pairs
from hpcdl.collector.readers.prints import read


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Training Loss: 1.1609 Training Accuracy: 0.63", {"loss": 1.1609, "accuracy": 0.63}),
        ("Validation Loss: 1.3309 Validation Accuracy: 58%", {"val_loss": 1.3309, "val_accuracy": 0.58}),
        ("train_loss=0.5, val_acc = 0.91", {"loss": 0.5, "val_accuracy": 0.91}),
        ("loss 0.3 | val loss 0.4 | lr 0.1", {"loss": 0.3, "val_loss": 0.4}),
        ("Accuracy on Test-Set: 71.38% (7138 / 10000)", {"test_accuracy": 0.7138}),
        ("('Test score:', 0.092632722640130671)", {"test_score": 0.09263272264013067}),
        ("{'accuracy': 0.5500}", {"accuracy": 0.55}),
        ("best_val_loss=1.31111", {"best_val_loss": 1.31111}),
        ("Acc@1 71.250 Acc@5 90.000", {"accuracy_1": 0.7125, "accuracy_5": 0.9}),
        ("train_time:264608ms", {"train_time_s": 264.608}),
        ("Total training time: 673.8 seconds", {"total_train_time_s": 673.8}),
        ("time : 2026-05-29_12:17:04", {}),
        ("trainer.py:444: UserWarning", {}),
        ("loss.py:444", {}),
        ("layers 5 and 6", {}),
        ("loss: none", {}),
    ],
)
def test_pairs(text, expected):
    assert pairs(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    "line",
    [
        "2020-12-27 23:07:37.796667: I tensorflow/stream_executor/dso_loader.cc:49] loss: 3",
        'print(f"Epoch 3 loss: 0.5")',
        "def loss(epoch=3, acc=0.5):",
        "Epoch 00003: val_loss improved from 0.5 to 0.4, saving model to x.h5",
        "Requirement already satisfied: absl-py==2.1.0",
        "conv1 (Conv2D) (None, 28, 28, 20) 520",
    ],
)
def test_lines_that_tell_nothing(line):
    assert read(line) == []


@pytest.mark.parametrize(
    "line",
    [
        "Done.",
        "All done!",
        "Training finished",
        "Finished Training in  342.00 seconds",
        "2019-11-13 17:14:43,657 INFO All done!",
    ],
)
def test_closing_words(line):
    (sign,) = read(line)
    assert (sign.code, sign.level) == ("completed", "word")


@pytest.mark.parametrize(
    "line", ["downloading: done 3 of 7", "not finished yet", "successfully opened library", "completed 3 of 7 steps"]
)
def test_words_in_a_sentence_close_nothing(line):
    assert read(line) == []


def modules():
    return [item.name for item in pkgutil.walk_packages(hpcdl.collector.__path__, "hpcdl.collector.")]


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
