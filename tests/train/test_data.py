"""Data sets and how they are dealt to the ranks."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcdl.errors import DataError
from hpcdl.train.data import Data, load_dataset
from hpcdl.train.trainer import blocks, epoch_order
from hpcdl.train.world import World
from hpcdl.training import Training


def training(**values) -> Training:
    return Training(**{"model": "mnist_cnn", "data": "digits", "epochs": 1, "batch_size": 4, **values})


def test_digits_are_real_digits_in_the_shape_of_mnist():
    data = load_dataset("digits")
    assert data.train_inputs.shape == (1437, 28, 28, 1)
    assert data.test_inputs.shape == (360, 28, 28, 1)
    assert data.train_inputs.dtype == np.uint8
    assert data.train_inputs.max() == 255
    assert data.train_targets[:10].tolist() == list(range(10))  # scikit-learn's file begins so
    assert data.train_inputs[:, :4].max() == 0, "a border as MNIST's"


def test_a_data_set_says_what_it_is():
    assert str(load_dataset("digits")) == "digits: 28x28x1 uint8, 10 classes, in memory"
    camera = Data(name="synthetic", shape=[9, 2], targets=["x", "y"], num_train=3, num_test=1)
    assert str(load_dataset(camera)) == "synthetic: 9x2 float32, predict x, y, in memory"


def test_an_unknown_data_set_is_refused_with_those_that_there_are():
    with pytest.raises(
        DataError, match=r"'imagenet' is no data set; there are .*digits, .*mnist.*package\.module:function"
    ):
        load_dataset("imagenet")


def test_the_digest_changes_with_one_pixel_and_with_one_label():
    data = load_dataset("digits")
    images, labels = data.train_inputs.copy(), data.train_targets.copy()
    images[3, 9, 9] ^= 1
    labels[0] += 1
    digests = {data.digest} | {
        dataclasses.replace(data, **change).digest for change in ({"train_inputs": images}, {"train_targets": labels})
    }
    assert len(digests) == 3


@given(
    ranks=st.integers(1, 8),
    batch=st.integers(1, 16),
    images=st.integers(1, 400),
    epoch=st.integers(1, 3),
    seed=st.integers(0, 9),
)
def test_every_step_deals_other_images_to_every_rank(ranks, batch, images, epoch, seed):
    steps = images // (ranks * batch)
    job = training(batch_size=batch, seed=seed)
    dealt = [epoch_order(job, epoch, images, steps, World(rank, ranks, rank, ranks, "host")) for rank in range(ranks)]
    assert all(part.shape == (steps, batch) for part in dealt)
    together = np.concatenate(dealt, axis=1)
    assert len(np.unique(together)) == together.size, "no image twice in an epoch"
    alone = epoch_order(training(batch_size=ranks * batch, seed=seed), epoch, images, steps, World(0, 1, 0, 1, "host"))
    np.testing.assert_array_equal(together, alone)  # 1 rank with the whole batch sees the same


def test_epochs_and_seeds_have_orders_of_their_own():
    alone = World(0, 1, 0, 1, "host")
    orders = [epoch_order(training(seed=seed), epoch, 100, 25, alone).ravel() for seed in (1, 2) for epoch in (1, 2)]
    assert len({tuple(order) for order in orders}) == 4


@given(steps=st.integers(0, 200), done=st.integers(0, 500), every=st.integers(1, 120), longest=st.integers(1, 30))
def test_blocks_cut_an_epoch_where_the_weights_are_compared(steps, done, every, longest):
    order = np.arange(steps)
    cut = list(blocks(order, done, every, longest))
    np.testing.assert_array_equal(np.concatenate([order[:0], *cut]), order)
    assert max((len(block) for block in cut), default=0) <= longest
    ends = set((done + np.cumsum([len(block) for block in cut])).tolist())
    assert {step for step in range(done + 1, done + steps + 1) if step % every == 0} <= ends
