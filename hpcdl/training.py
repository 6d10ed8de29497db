"""What the `train:` section of a job file says: model, data and recipe, in Keras's words."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from hpcdl.data import NamedData
from hpcdl.values import Positive
from hpcdl.yamlfile import Section

Fraction = Annotated[float, Field(ge=0, lt=1)]


class Optimizer(Section):
    """A Keras optimizer by name, and its arguments in Keras's words."""

    name: Literal["adam", "adamw", "sgd", "rmsprop"] = "adam"
    learning_rate: Annotated[float, Field(gt=0)] = 0.001
    """Learning rate for the whole run, or the highest one where a schedule is given."""
    momentum: Fraction | None = None
    nesterov: bool | None = None
    beta_1: Fraction | None = None
    beta_2: Fraction | None = None
    weight_decay: Annotated[float, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _only_its_own_arguments(self) -> "Optimizer":
        known = {
            "adam": {"beta_1", "beta_2", "weight_decay"},
            "adamw": {"beta_1", "beta_2", "weight_decay"},
            "sgd": {"momentum", "nesterov", "weight_decay"},
            "rmsprop": {"momentum", "weight_decay"},
        }[self.name]
        for key in self.arguments:
            if key not in known:
                raise ValueError(f"{self.name} has no argument '{key}'; it takes {', '.join(sorted(known))}.")
        return self

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments that the file gives, apart from name and learning rate."""
        return self.model_dump(exclude_none=True, exclude={"name", "learning_rate"})


class Schedule(Section):
    """How the learning rate moves over the run, step by step."""

    name: Literal["constant", "one_cycle"] = "constant"
    warmup: Fraction = 0.3
    """one_cycle: the part of all steps in which the rate rises to its highest value."""
    start: Annotated[float, Field(ge=0, le=1)] = 0.04
    """one_cycle: the first rate as a part of the highest one."""
    end: Annotated[float, Field(ge=0, le=1)] = 0.0004
    """one_cycle: the last rate as a part of the highest one."""


class Augmentation(Section):
    """Random changes to training images, new in every epoch."""

    shift: Annotated[int, Field(ge=0, le=16)] = 0
    """Move each image by up to this many pixels in both directions; the border is filled with zeros."""


class Training(Section):
    """What to train and how: the `train:` section."""

    model: str
    data: NamedData
    epochs: Positive
    batch_size: Positive
    """Images per rank and step."""
    micro_batches: Positive = 1
    """Parts into which each rank's batch is cut; their gradients are summed before one allreduce."""
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "float32"
    """Type of the arithmetic; weights stay float32. `auto` is bfloat16 where the machine multiplies it fast."""
    dropout: Fraction = 0.0
    """Before the last layer, where the model has one."""
    label_smoothing: Fraction = 0.0
    augment: Augmentation = Augmentation()
    validation_split: Fraction = 0.0
    """The part of the training images, cut from their end as Keras does, that is only evaluated."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    check_weights_every: Positive = 100
    """Steps between two comparisons of all ranks' weights."""
    keep_checkpoints: Positive = 2
    """Checkpoints that stay on the disk; one is written after every epoch and when a signal stops the run."""

    @model_validator(mode="after")
    def _batch_can_be_cut(self) -> "Training":
        if self.batch_size % self.micro_batches:
            raise ValueError(
                f"batch_size {self.batch_size} cannot be cut into {self.micro_batches} equal micro_batches; "
                "choose a multiple."
            )
        return self
