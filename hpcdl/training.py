"""What the `train:` section of a job file says: model, data and recipe, in Keras's words."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from hpcdl.data import Data
from hpcdl.network import Network
from hpcdl.transfer import PRETRAINED, WEIGHTS_ALONE, Transfer
from hpcdl.values import Fraction, Positive
from hpcdl.yamlfile import Section


class Optimizer(Section):
    """A Keras optimizer by name, and its arguments in Keras's words; `lars` and `lamb` are hpcdl's own."""

    name: Literal["adam", "adamw", "sgd", "rmsprop", "lars", "lamb"] = "adam"
    learning_rate: Annotated[float, Field(gt=0)] = 0.001
    """Learning rate for the whole run, or the highest one where a schedule is given; see `scale`."""
    scale: Literal["none", "linear", "sqrt"] = "none"
    """Multiply the learning rate by k, or by the square root of k: k is the images of a step over all ranks, divided by
    `reference_batch`."""
    reference_batch: Positive | None = None
    """Images of a step for which `learning_rate` is meant; left out: batch_size, so that k is the number of ranks."""
    momentum: Fraction | None = None
    nesterov: bool | None = None
    """sgd: Nesterov's momentum."""
    rho: Fraction | None = None
    """rmsprop: how much of the mean of squared gradients stays in each step."""
    beta_1: Fraction | None = None
    """adam, adamw, lamb: how much of the mean of gradients stays in each step."""
    beta_2: Fraction | None = None
    """adam, adamw, lamb: how much of the mean of squared gradients stays in each step."""
    epsilon: Annotated[float, Field(gt=0)] | None = None
    """A small number that keeps a division from one by zero."""
    trust_coefficient: Annotated[float, Field(gt=0)] | None = None
    """lars: the size of a layer's step in relation to its weights, for a learning rate of 1."""
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    """Part of the weights that is taken off in each step, times the learning rate, beside the gradient (decoupled);
    lars and lamb count it to the layer's step, as their papers do."""
    weight_decay_on: Literal["all", "kernels"] = "all"
    """`kernels` spares biases and the parameters of normalisations, all that has fewer than two dimensions. lars and
    lamb always spare them."""
    bias_factor: Annotated[float, Field(gt=0)] = 1.0
    """What the learning rate is multiplied by for biases and the parameters of normalisations, all that has fewer than
    two dimensions. Their decoupled weight decay keeps the plain rate."""
    clipnorm: Annotated[float, Field(gt=0)] | None = None
    """The highest norm of each gradient; as all clipping, it is done after the mean over the ranks."""
    global_clipnorm: Annotated[float, Field(gt=0)] | None = None
    """The highest norm of all gradients together."""
    clipvalue: Annotated[float, Field(gt=0)] | None = None
    """The highest size of each number of a gradient."""

    @model_validator(mode="after")
    def _only_its_own_arguments(self) -> "Optimizer":
        adam = {"beta_1", "beta_2", "epsilon", "weight_decay"}
        known = {
            "adam": adam,
            "adamw": adam,
            "lamb": adam,
            "sgd": {"momentum", "nesterov", "weight_decay"},
            "rmsprop": {"rho", "momentum", "epsilon", "weight_decay"},
            "lars": {"momentum", "trust_coefficient", "epsilon", "weight_decay"},
        }[self.name]
        clipping = [key for key in CLIPPING if getattr(self, key) is not None]
        for key in self.arguments:
            if key not in known and key not in CLIPPING:
                raise ValueError(f"{self.name} has no argument '{key}'; it takes {', '.join(sorted(known))}.")
        if len(clipping) > 1:
            raise ValueError(f"{' and '.join(clipping)} exclude each other; choose one.")
        if self.reference_batch and self.scale == "none":
            raise ValueError("reference_batch needs a scale: linear or sqrt.")
        return self

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the optimizer itself that the file gives, apart from name and learning rate."""
        ours = {"name", "learning_rate", "scale", "reference_batch", "weight_decay_on", "bias_factor"}
        return self.model_dump(exclude_none=True, exclude=ours)


CLIPPING = ("clipnorm", "global_clipnorm", "clipvalue")


class Schedule(Section):
    """How the learning rate moves over the run, step by step."""

    name: Literal["constant", "step", "cosine", "one_cycle"] = "constant"
    warmup: Fraction | None = None
    """The part of all steps in which the rate rises to its highest value; left out: 0.3 for one_cycle, else 0."""
    warmup_epochs: Annotated[float, Field(ge=0)] | None = None
    """The same in epochs."""
    start: Annotated[float, Field(ge=0, le=1)] | None = None
    """The first rate as a part of the highest one; left out: 0.04 for one_cycle, else the rate before `scale` (Goyal
    et al.), or 0.1 where nothing is scaled up."""
    end: Annotated[float, Field(ge=0, le=1)] | None = None
    """cosine, one_cycle: the last rate as a part of the highest one; left out: 0 and 0.0004."""
    milestones: list[Annotated[float, Field(gt=0)]] = Field(default=[])
    """step: the epochs after which the rate is multiplied by `factor`."""
    factor: Annotated[float, Field(gt=0, lt=1)] | None = None
    """step: left out it is 0.1."""

    @model_validator(mode="after")
    def _only_its_own_arguments(self) -> "Schedule":
        if self.warmup is not None and self.warmup_epochs is not None:
            raise ValueError("warmup and warmup_epochs say the same in two units; choose one.")
        if (self.name == "step") != bool(self.milestones):
            raise ValueError("a step schedule, and no other, needs milestones: the epochs after which the rate falls.")
        if self.milestones != sorted(set(self.milestones)):
            raise ValueError(f"milestones {self.milestones} do not rise; list epochs in their order.")
        if self.factor is not None and self.name != "step":
            raise ValueError(f"{self.name} has no factor; that belongs to step.")
        if self.end is not None and self.name not in ("cosine", "one_cycle"):
            raise ValueError(f"{self.name} has no end; that belongs to cosine and one_cycle.")
        return self


class Augmentation(Section):
    """Random changes to the inputs of training, new in every epoch, the same for every number of ranks.

    Brightness, contrast and saturation are meant for images, noise and amplitude for signals.
    """

    flip: bool | Literal["alternate"] = False
    """Mirror an image left to right, with a chance of one half. `alternate` mirrors half of the images in the first
    epoch and the other half in the next, in turns: two epochs show both sides of every image."""
    shift: Annotated[int, Field(ge=0)] = 0
    """Move each image by up to this many pixels in both directions, a signal in time by so many samples; the border is
    filled with zeros."""
    crop: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Cut a rectangle of a random part of the area, this part at least, of 3/4 to 4/3 of the image's proportions, and
    scale it to the whole image (Inception's random resized crop)."""
    translate: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Move each image by up to this part of its size, also by parts of pixels."""
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Turn each image about its centre by up to this many degrees."""
    brightness: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Multiply each image by a factor between 1 minus and 1 plus this."""
    contrast: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Multiply each image's distance from its mean grey by a factor between 1 minus and 1 plus this."""
    saturation: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Multiply each pixel's distance from its grey by a factor between 1 minus and 1 plus this."""
    cutout: Annotated[int, Field(ge=0)] = 0
    """Set a square of this many pixels a side to zero, its centre anywhere in the image."""
    amplitude: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Multiply each signal by a factor between 1 minus and 1 plus this."""
    noise: Annotated[float, Field(ge=0)] = 0.0
    """Add normal noise of this standard deviation to each signal."""
    mixup: Annotated[float, Field(ge=0)] = 0.0
    """Mix neighbours in the batch, inputs and targets, in a ratio from the distribution Beta(mixup, mixup)."""
    cutmix: Annotated[float, Field(ge=0)] = 0.0
    """Exchange a rectangle between neighbours in the batch, its area from Beta(cutmix, cutmix), and mix the targets by
    area. With mixup as well, each step takes one of the two by chance."""


class SmallImages(Section):
    """Smaller images for the first epochs, which cost less; later ones, and every evaluation, see the whole size."""

    size: Positive
    """Height and width in pixels, to which images are scaled after they are augmented."""
    epochs: Positive
    """For so many epochs from the first on."""


class Penalty(Section):
    """What the loss of training counts for the size of kernels (not of biases), in the way of Keras's L1L2."""

    l1: Annotated[float, Field(ge=0)] = 0.0
    """Times the sum of the absolute weights."""
    l2: Annotated[float, Field(ge=0)] = 0.0
    """Times the sum of the squared weights: half of a weight decay in PyTorch's words."""


class Normalization(Section):
    """Mean and standard deviation of each channel, for inputs of 0..1; they become the model's first layer."""

    mean: list[float]
    std: list[Annotated[float, Field(gt=0)]]

    @model_validator(mode="after")
    def _one_for_each_channel(self) -> "Normalization":
        if len(self.mean) != len(self.std):
            raise ValueError(f"mean has {len(self.mean)} channels and std {len(self.std)}; give one number for each.")
        return self


BUCKET_MIB = 32
"""Gradients that travel together, a compromise between few messages and an early start; DDP of PyTorch takes 25 MiB."""


class Communication(Section):
    """How Horovod moves the gradients. A variable HOROVOD_... of the environment comes before what stands here."""

    wire: Literal["float32", "float16"] = "float32"
    """Type in which gradients travel between the ranks; they are summed in it too."""
    fusion_threshold_mib: Annotated[float, Field(ge=0)] | None = None
    """Size of the buffer in which small gradients travel together, in MiB; left out: Horovod's own, 128."""
    cycle_time_ms: Annotated[float, Field(gt=0)] | None = None
    """Time between two looks for finished gradients, in milliseconds; left out: Horovod's own, 1."""
    bucket_mib: Annotated[float, Field(gt=0)] = BUCKET_MIB
    """Gradients travel in buckets of so many MiB, beside the backward pass that makes the next ones."""
    gather_dense: bool = True
    """Do not move the gradients of large dense kernels, but the inputs and output gradients of which they are products,
    where all ranks are on the cores of one host and these are fewer numbers."""
    autotune: bool = False
    """Let Horovod try both while it trains. The best are kept in the user's cache for this model, number of ranks and
    machine, and the next run with autotune begins with them and tries no more."""

    @model_validator(mode="after")
    def _one_way_to_choose(self) -> "Communication":
        if self.autotune and (self.fusion_threshold_mib is not None or self.cycle_time_ms is not None):
            raise ValueError("autotune finds fusion_threshold_mib and cycle_time_ms itself; leave them out.")
        return self


class Training(Section):
    """What to train and how: the `train:` section."""

    model: Network
    data: Data
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
    """Before the last layer, beside what the model has of its own."""
    label_smoothing: Fraction = 0.0
    penalty: Penalty = Penalty()
    ema: Fraction = 0.0
    """How much of the weights' moving average stays in each step, such as 0.999; 0 keeps none. The average is what is
    evaluated and saved. In the first steps less stays: (1 + step) / (10 + step)."""
    normalize: Normalization | None = None
    """Left out, the network sees 0..1."""
    augment: Augmentation = Augmentation()
    small_images: SmallImages | None = None
    validation_split: Fraction = 0.0
    """The part of the training images, cut from their end as Keras does, that is only evaluated."""
    transfer: Transfer | None = None
    """Begin with what another training has learnt."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    top5: bool | None = None
    """Whether to count the images whose class is among the five most probable; left out: from 100 classes on."""
    mirrored: bool = False
    """Whether the test counts one more accuracy, `test_mirrored_accuracy`: that of the mean of the probabilities of
    each image and its mirror image."""
    horovod: Communication = Communication()
    check_weights_every: Positive = 100
    """Steps between two comparisons of all ranks' weights."""
    keep_checkpoints: Positive = 2
    """Checkpoints that stay on the disk; one is written after every epoch and when a signal stops the run."""
    keep_best: (
        Literal["val_accuracy", "val_loss", "val_top5_accuracy", "val_mae", "accuracy", "loss", "top5_accuracy", "mae"]
        | None
    ) = None
    """A metric of the epochs, such as val_accuracy: the checkpoint and the model of the epoch in which it was best stay
    on the disk too."""

    @model_validator(mode="after")
    def _batch_can_be_cut(self) -> "Training":
        if self.batch_size % self.micro_batches:
            raise ValueError(
                f"batch_size {self.batch_size} cannot be cut into {self.micro_batches} equal micro_batches; "
                "choose a multiple."
            )
        if (self.augment.mixup or self.augment.cutmix) and self.batch_size % 2:
            raise ValueError(
                f"mixup and cutmix mix neighbours in pairs, and batch_size {self.batch_size} leaves one over; "
                "choose an even one."
            )
        return self

    @model_validator(mode="after")
    def _transfer_fits(self) -> "Training":
        transfer, pretrained = self.transfer, self.model.name == PRETRAINED
        if pretrained and (transfer is None or transfer.weights.endswith(WEIGHTS_ALONE)):
            what = "`transfer:` with" if transfer is None else "a network:"
            raise ValueError(
                f"model: {PRETRAINED} is the network of transfer.weights, and needs {what} a run or a .keras file; "
                "a file of weights alone needs the name of its network."
            )
        if transfer is None:
            return self
        late = [stage.epoch for stage in transfer.unfreeze if stage.epoch > self.epochs]
        if late:
            raise ValueError(f"transfer.unfreeze: epoch {late[0]} never comes; the training has {self.epochs} epochs.")
        if transfer.head_alone and self.small_images is not None:
            raise ValueError(
                "small_images: frozen layers whose features are the last layer's inputs see images of one size; leave "
                "out small_images, or unfreeze layers."
            )
        if transfer.cache and self.changes_inputs:
            raise ValueError(
                "transfer.cache: augment and mirrored change the inputs, so that their features cannot be computed "
                "once; leave out cache, or these."
            )
        return self

    @property
    def changes_inputs(self) -> bool:
        """Whether the network sees an input in more than one form."""
        return self.augment != Augmentation() or self.small_images is not None or self.mirrored
