"""`hpcdl predict-images` on this rank: from a network and inputs to tables and pictures."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hpcdl.errors import HpcdlError, LookError
from hpcdl.files import write_atomically
from hpcdl.train.look.figures import Labelled
from hpcdl.train.pictures import save
from hpcdl.train.predict import measures, pictures, table
from hpcdl.train.predict.deal import Outputs, claim_cores, predict
from hpcdl.train.predict.samples import Samples, class_names, of_folder, of_test_set
from hpcdl.train.trained import Trained, load_trained, scale
from hpcdl.train.world import world

WORST = 18
NAMED = 5
"""Inputs that could not be read and are named in the log; the table has all."""


@dataclass(frozen=True)
class Wish:
    """What is to be predicted."""

    network: Path
    inputs: str
    """A folder, or the name of a data set, whose test inputs are taken."""
    output: Path
    """The table; pictures and the other tables lie beside it and begin with its name."""
    data: str | None = None
    """The data set that names the classes; the one of the network's run if absent."""
    strict: bool = False
    """Whether an input that cannot be read ends it."""


def predict_images(wish: Wish) -> None:
    """Predict all inputs on all ranks together; rank 0 writes. Every rank calls it.

    Raises:
        WorldError: on all ranks: something is absent or wrong on one of them.
        HpcdlError: on one rank: an input cannot be read (strict), or the output not written.
    """
    us = world()
    workers = claim_cores(us)
    ready, failure = None, None
    try:
        table.check(wish.output)
        ready = _prepare(wish)
    except HpcdlError as error:
        failure = error
    us.first_failure(failure)
    assert ready is not None
    trained, samples, names = ready
    us.agree("the list of inputs", _digest(samples), "Give all hosts the same files.")
    us.agree("the network", _weights(trained), "Give all hosts the same file.")
    outputs = predict(us, trained.model, samples, workers, wish.strict)
    if us.rank == 0:
        _write(wish.output, trained, samples, outputs, names)


def _prepare(wish: Wish) -> tuple[Trained, Samples, tuple[str, ...]]:
    trained = load_trained(wish.network)
    folder = Path(wish.inputs)
    if folder.is_dir():
        data = trained.load_data(wish.data)
        names = class_names(data, trained.model.output_shape[-1])
        return trained, of_folder(folder, trained, names if trained.is_classifier else ()), names
    data = trained.load_data(wish.inputs)
    assert data is not None
    return trained, of_test_set(data), class_names(data, trained.model.output_shape[-1])


def _write(path: Path, trained: Trained, samples: Samples, outputs: Outputs, names: Sequence[str]) -> None:
    """Write all tables and pictures, the table of predictions last: where it is there, the others are too."""
    read = ~np.isnan(outputs.values).any(axis=1)
    print(f"{int(read.sum())} of {len(read)} inputs predicted by {trained.path}")
    for text in list(outputs.faults.values())[:NAMED]:
        print(f"left out: {text}")
    if len(outputs.faults) > NAMED:
        print(f"left out: {len(outputs.faults) - NAMED} more, see the column error")
    if trained.is_classifier:
        rows = table.of_classes(samples, outputs, names)
        if samples.truth is not None and read.any():
            _write_classes(path, samples, outputs, names, read)
    else:
        rows = table.of_numbers(samples, outputs, names)
        if samples.truth is not None and read.any():
            errors = table.of_errors(samples, outputs, names)
            _write_side(path, "errors", errors)
            _write_measures(path, {"mae": float(errors["mae"].mean()), "n": int(read.sum())})
            save(pictures.numbers(samples.truth[read], outputs.values[read], names), _beside(path, "errors"))
    table.write(rows, path)
    print(path)


def _write_classes(path: Path, samples: Samples, outputs: Outputs, names: Sequence[str], read: np.ndarray) -> None:
    assert samples.truth is not None
    truth, best = samples.truth[read], outputs.values[read].argmax(axis=1)
    matrix = measures.confusion(truth, best, len(names))
    wrong = int((truth != best).sum())
    accuracy = 1 - wrong / len(truth)
    title = f"{len(truth) - wrong} of {len(truth)} right: accuracy {accuracy:.4f}"
    print(title)
    _write_measures(path, {"accuracy": accuracy, "n": len(truth)})
    _write_side(path, "classes", table.of_each_class(matrix, names))
    _write_side(path, "confusion", table.of_confusion(matrix, names), show=False)
    save(pictures.confusion(matrix, names, title), _beside(path, "confusion"))
    if wrong:
        places = measures.worst(samples.truth, outputs.values, WORST)
        shown = [
            Labelled(
                scale(samples.read(place)),
                f"{names[samples.truth[place]]} -> {names[outputs.values[place].argmax()]} "
                f"({outputs.values[place].max():.2f})",
            )
            for place in places
        ]
        save(pictures.mistakes(shown, wrong, len(truth)), _beside(path, "mistakes"))


def _write_side(path: Path, name: str, frame: pd.DataFrame, show: bool = True) -> None:
    if show:
        print(frame.to_string(index=False, float_format="{:.4f}".format))
    table.write(frame, _beside(path, name).with_suffix(path.suffix))


def _write_measures(path: Path, measures: dict[str, float]) -> None:
    """Write how good it is in a number or two, for programs that compare networks."""
    file = _beside(path, "measures").with_suffix(".json")
    try:
        write_atomically(file, json.dumps(measures) + "\n")
    except OSError as fault:
        raise LookError(f"{file}: cannot be written ({fault.strerror}). Choose another place by -o.") from None


def _beside(path: Path, name: str) -> Path:
    return path.with_name(f"{path.stem}_{name}")


def _digest(samples: Samples) -> str:
    return hashlib.sha256("\n".join(samples.names).encode(errors="surrogateescape")).hexdigest()


def _weights(trained: Trained) -> str:
    digest = hashlib.sha256()
    for variable in trained.model.weights:
        digest.update(np.ascontiguousarray(variable.value).tobytes())
    return digest.hexdigest()
