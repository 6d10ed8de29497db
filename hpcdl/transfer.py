"""What a job file says of transfer learning: the `train.transfer:` section."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hpcdl.values import Positive
from hpcdl.yamlfile import Section

PRETRAINED = "pretrained"
"""The `train.model` that stands for the network in the file of the weights."""
WEIGHTS_ALONE = (".h5", ".hdf5")
"""How files are called that hold weights and no network: Keras's, those of keras.applications among them."""


class Unfreeze(Section):
    """Layers that are trained from some epoch on."""

    epoch: Positive
    """The epoch, from 1, at whose beginning they are unfrozen."""
    layers: Annotated[list[str], Field(min_length=1)]
    """Names of layers; `*` and `?` stand for any letters, and `NAME:` for a layer and all after it."""
    learning_rate_factor: Annotated[float, Field(gt=0)] = 1.0
    """What their steps are multiplied by, beside those of the last layer."""


class Transfer(Section):
    """Begin with the weights of a network that was trained before, and train all of it or a part."""

    weights: Annotated[str, Field(min_length=1)]
    """A run's folder, a checkpoint, a `.keras` file or a file of weights (`.h5`). A relative path is looked for in
    $HPCDL_DATA/weights, $HPCDL_DATA, the working folder and hpcdl's cache; of `runs/NAME-*` it is the newest run that
    has finished."""
    trainable: Literal["head", "all"] = "head"
    """The last layer alone, all others being frozen, or all layers."""
    unfreeze: list[Unfreeze] = Field(default=[])
    """Layers that are trained beside the last one, from their epochs on; for `trainable: head`."""
    head: Literal["new", "keep"] | None = None
    """Whether the last layer begins anew or with its weights; left out: anew where the number of outputs differs."""
    cache: bool | None = None
    """Compute the features of all inputs once and train the last layer on them; left out, where that can be done."""

    @model_validator(mode="after")
    def _stages_have_an_order(self) -> "Transfer":
        epochs = [stage.epoch for stage in self.unfreeze]
        if self.trainable == "all" and epochs:
            raise ValueError("`trainable: all` leaves nothing to unfreeze; write `trainable: head`, or no `unfreeze:`.")
        if epochs != sorted(set(epochs)):
            raise ValueError(f"unfreeze: the epochs {epochs} do not rise; list each stage once, in the order of time.")
        if self.cache and not self.head_alone:
            raise ValueError(
                "cache: features can be computed once only where nothing but the last layer is trained; "
                "leave out cache, or take `trainable: head` without `unfreeze:`."
            )
        return self

    @property
    def head_alone(self) -> bool:
        """Whether nothing but the last layer is ever trained: the network below is a fixed feature extractor."""
        return self.trainable == "head" and not self.unfreeze
