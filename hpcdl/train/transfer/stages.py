"""Which layers of a network learn in which epoch; all others are frozen.

A frozen layer is one whose `trainable` is false, in Keras's sense: its weights do not move, and a batch normalisation
works with its stored statistics and leaves them as they are.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras

from hpcdl.train.optimizers import Join
from hpcdl.train.transfer.parts import by_name, choose, cut
from hpcdl.training import Training
from hpcdl.transfer import PRETRAINED


class Stages:
    """The stages of a training that begins with the weights of another one. It belongs to one model."""

    def __init__(self, model: keras.Model, training: Training):
        """Take a model that is not compiled yet. All layers that are ever trained are left trainable, others frozen.

        Raises:
            JobFileError: a name of `unfreeze:` is that of no layer, or the model has no last layer.
        """
        transfer = training.transfer
        assert transfer is not None
        model.trainable = True  # whatever the function that built it has frozen
        self.parts = cut(model)
        self.parameters: tuple[Any, ...] = tuple(model.trainable_variables)
        """All weights that training could move, those that are frozen too: equal on all ranks."""
        named = by_name(self.parts.body, made_here=training.model.name != PRETRAINED)
        self._layers = list(named.items())
        self._begins: dict[int, int] = {}  # by the id of a layer: the epoch from which on it is trained,
        self._factors: dict[int, float] = {}  # and what its steps are multiplied by
        if transfer.trainable == "all":
            self._begins = {id(layer): 1 for layer in named.values()}
        for stage in transfer.unfreeze:
            for layer in choose(named, stage.layers):
                self._begins.setdefault(id(layer), stage.epoch)
                self._factors.setdefault(id(layer), stage.learning_rate_factor)
        self._trained: set[int] | None = None
        self._freeze_all_but(set(self._begins))

    def joins(self, variables: Sequence[Any], steps_per_epoch: int) -> tuple[Join, ...]:
        """Return for each of the variables when it joins the training and how fast it learns then."""
        joins: dict[int, Join] = {}
        for _, layer in self._layers:
            if id(layer) in self._begins:
                join = Join((self._begins[id(layer)] - 1) * steps_per_epoch, self._factors.get(id(layer), 1.0))
                joins |= {id(variable): join for variable in layer.trainable_variables}
        return tuple(joins.get(id(variable), Join()) for variable in variables)

    def enter(self, epoch: int) -> bool:
        """Freeze and unfreeze the layers for an epoch, from 1.

        Returns:
            Whether anything changed: then a training step must be traced anew.
        """
        before, self._trained = self._trained, {layer for layer, begin in self._begins.items() if begin <= epoch}
        if before == self._trained:
            return False
        self._freeze_all_but(self._trained)
        return True

    def trained(self) -> list[str]:
        """Return the names of the layers with weights below the last one that learn in this epoch."""
        return [name for name, layer in self._layers if layer.trainable and layer.weights]

    @contextmanager
    def unfrozen(self) -> Iterator[None]:
        """Within this context no layer is frozen: which ones are belongs to a training, not to the network it saves."""
        self._freeze_all_but({id(layer) for _, layer in self._layers})
        try:
            yield
        finally:
            self._freeze_all_but(set(self._begins) if self._trained is None else self._trained)

    def _freeze_all_but(self, trained: set[int]) -> None:
        for _, layer in self._layers:
            layer.trainable = id(layer) in trained
