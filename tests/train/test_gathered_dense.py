"""Which dense layers gather what their gradients are made of; that these are right: tests/mpi/test_equal_steps.py."""

import keras
import pytest
from keras import layers

from hpcdl.train.layers.gathered_dense import gather_dense
from hpcdl.train.world import World

LARGE, SMALL = "large/kernel", "small/kernel"


def world_of(size: int, local_size: int) -> World:
    return World(rank=0, size=size, local_rank=0, local_size=local_size, host="n1")


def network(call=lambda layer, x: layer(x)) -> keras.Model:
    """A large dense layer, 400 to 100, and a small one."""
    inputs = layers.Input((400,))
    x = call(layers.Dense(100, name="large"), inputs)
    return keras.Model(inputs, layers.Dense(10, name="small")(x))


@pytest.mark.parametrize(
    ("ranks", "ranks_here", "batch_size", "kernels"),
    [
        (2, 2, 40, {LARGE}),  # 2 * 40 * (400 + 100) numbers, as many as the kernel has
        (2, 2, 41, set()),
        (4, 4, 20, {LARGE}),
        (4, 2, 20, set()),  # two hosts may compute in different ways
        (2, 2, 4, {LARGE, SMALL}),
        (1, 1, 4, set()),
    ],
)
def test_a_kernel_is_gathered_where_that_is_less_and_all_ranks_compute_alike(ranks, ranks_here, batch_size, kernels):
    assert gather_dense(network(), world_of(ranks, ranks_here), batch_size) == kernels


def test_a_layer_that_is_called_twice_is_left_alone(monkeypatch):
    """Its two calls would be one operation to Horovod."""
    around = network(lambda layer, x: layers.Add()([layer(x), layer(layers.ReLU()(x))]))
    assert gather_dense(around, world_of(2, 2), 4) == {SMALL}


def test_a_layer_over_sequences_and_a_frozen_one_are_left_alone():
    inputs = layers.Input((7, 400))
    model = keras.Model(inputs, layers.Dense(100)(inputs))
    assert gather_dense(model, world_of(2, 2), 4) == set()
    frozen = network()
    frozen.get_layer("large").trainable = False
    assert gather_dense(frozen, world_of(2, 2), 4) == {SMALL}


def test_the_layer_computes_and_is_saved_as_keras_own(tmp_path):
    model, inputs = network(), keras.random.normal((3, 400), seed=1)
    before = model(inputs)
    gather_dense(model, world_of(2, 2), 4)
    assert (model(inputs) == before).numpy().all()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.get_layer("large")) is layers.Dense
    assert (loaded(inputs) == before).numpy().all()
