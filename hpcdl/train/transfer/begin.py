"""The beginning of a transfer on all ranks: the weights, and what is below the last layer where it stays as it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from hpcdl.errors import HpcdlError
from hpcdl.run import record
from hpcdl.train.data import Dataset
from hpcdl.train.horovod import HorovodModel
from hpcdl.train.transfer.features import cached_features
from hpcdl.train.transfer.source import Taken, take_weights
from hpcdl.train.world import World
from hpcdl.training import Training


def begin_with_weights(us: World, model: HorovodModel, training: Training, folder: Path) -> None:
    """Give the model of a new run the weights that the job names, and note in its record where they are from.

    Collective.

    Raises:
        WorldError: on all ranks: the weights are not there, do not fit, or differ between the hosts.
    """
    assert training.transfer is not None
    taken: Taken | None = None
    failure = None
    try:
        taken = take_weights(model, training.transfer, training.seed)
    except HpcdlError as error:
        failure = error
    us.first_failure(failure)
    assert taken is not None
    us.agree("the checksum of train.transfer.weights", taken.sha256, "Give all hosts the same file.")
    if model.average is not None:
        model.average.restart()
    if us.rank == 0:
        record.update(folder, transfer={"weights": str(taken.path), "sha256": taken.sha256, "new_head": taken.new_head})
        print(f"Weights from {taken.path}; the last layer {'is new' if taken.new_head else 'is kept'}", flush=True)


def fix_features(
    us: World,
    model: HorovodModel,
    data: Dataset,
    training: Training,
    folder: Path,
    signal_name: Callable[[], str | None],
) -> Dataset:
    """Let the network below the last layer only compute features, in inference mode, and train the last layer on them.

    Where nothing speaks against it they are computed once for all inputs. Collective.

    Returns:
        What the steps and evaluations take their inputs from: the features, or the data where they are computed in
        every step.
    Raises:
        WorldError: as `cached_features`.
    """
    assert training.transfer is not None
    parts = model.stages.parts
    head = keras.Model(parts.features, model.outputs[0])
    # Maps instead of features would be taken for images.
    cached = training.transfer.cache is not False and not training.changes_inputs and len(head.input_shape) == 2

    def on_features(features: Any, training: bool) -> Any:
        return head(features, training=training)

    def on_inputs(inputs: Any, training: bool) -> Any:
        return head(parts.body(inputs, training=False), training=training)

    model.forward = on_features if cached else on_inputs
    if us.rank == 0:
        how = "computed once for each input" if cached else "computed in every step"
        why = ", since the recipe changes the inputs" if training.changes_inputs else ""
        print(f"Trained on {parts.features.shape[-1]} features of the frozen layers, {how}{why}", flush=True)
    return cached_features(us, parts.body, data, folder, signal_name) if cached else data
