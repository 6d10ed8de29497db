"""Data sets for training. This folder needs NumPy and Pillow only, so that a login node can fetch and check data."""

import difflib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hpcdl.data import Data
from hpcdl.errors import DataError
from hpcdl.train.data import cifar10
from hpcdl.train.data.cifar10 import fetch_cifar10, load_cifar10
from hpcdl.train.data.dataset import Dataset
from hpcdl.train.data.digits import load_digits
from hpcdl.train.data.ecg import load_ecg
from hpcdl.train.data.folders import load_folders
from hpcdl.train.data.football import load_football
from hpcdl.train.data.idx import FASHION_MNIST, MNIST
from hpcdl.train.data.npz import load_npz
from hpcdl.train.data.own import is_own, load_own
from hpcdl.train.data.places import path_is_here
from hpcdl.train.data.select import OPTIONS, select
from hpcdl.train.data.synthetic import load_synthetic
from hpcdl.train.data.tfrecord import load_tfrecord

__all__ = ["SOURCES", "Data", "Dataset", "Source", "fetch", "is_here", "load_dataset", "prepare"]


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Source:
    """One entry of the table of data sets."""

    about: str
    load: Callable[..., Dataset]
    """Takes the options of the job file that are its parameters; one without a default must be given."""
    is_here: Callable[..., bool] = _always
    """Whether the files are on this machine, whole or not; takes those of the options that it names."""
    fetch: Callable[[], Any] | None = None
    """Downloads what is missing, where that is possible."""

    @property
    def options(self) -> dict[str, bool]:
        """The options that a job file may give, and whether it must."""
        parameters = inspect.signature(self.load).parameters.values()
        taken = {parameter.name: parameter.default is parameter.empty for parameter in parameters}
        return taken | ({"stage": False} if "path" in taken else {})


SOURCES: dict[str, Source] = {
    "mnist": Source("60,000 + 10,000 handwritten digits, 28x28 grey", MNIST.load, MNIST.is_here, MNIST.fetch),
    "fashion_mnist": Source(
        "60,000 + 10,000 pieces of clothing, 28x28 grey", FASHION_MNIST.load, FASHION_MNIST.is_here, FASHION_MNIST.fetch
    ),
    "cifar10": Source("50,000 + 10,000 images of 10 kinds, 32x32 colour", load_cifar10, cifar10.is_here, fetch_cifar10),
    "digits": Source("1,797 real digits that scikit-learn carries, scaled to 28x28 grey", load_digits),
    "football": Source("rendered panoramas of a football match; the camera's x, y and zoom are known", load_football),
    "ecg": Source("rendered signals like an electrocardiogram, of five rhythms that are known", load_ecg),
    "synthetic": Source("inputs of any shape, made from a seed", load_synthetic),
    "folders": Source("images in class folders, as ImageNet's: train/CLASS/*.jpg", load_folders, path_is_here),
    "tfrecord": Source("images in TFRecord shards with an index", load_tfrecord, path_is_here),
    "npz": Source("signals or images in one .npz: x_train, y_train, x_test, y_test", load_npz, path_is_here),
}


def is_here(data: Data | str) -> bool:
    """Whether a data set is on this machine, whole or not.

    Raises:
        DataError: the name is unknown, or an option is not the data set's.
    """
    source, options = _find(data)
    if source is None:
        return True  # a function of the user's: only calling it would tell
    asked = inspect.signature(source.is_here).parameters
    return source.is_here(**{name: value for name, value in options.items() if name in asked})


def prepare(data: Data | str) -> None:
    """Make sure that a data set is on this machine, downloading it if need be. One process calls it, never each rank.

    Raises:
        DataError: the name is unknown, or the data are neither here nor to be had.
    """
    source, _ = _find(data)
    if source is not None and source.fetch and not is_here(data):
        source.fetch()


def fetch(name: str) -> None:
    """Download what is missing of a data set.

    Raises:
        DataError: it is unknown, cannot be downloaded by hpcdl, or no mirror has a right copy.
    """
    source, _ = _find(Data(name=name), complete=False)
    if source is None or source.fetch is None:
        known = ", ".join(name for name, source in SOURCES.items() if source.fetch)
        raise DataError(f"'{name}' is nothing that hpcdl can download; it can fetch {known}.")
    source.fetch()


def load_dataset(data: Data | str) -> Dataset:
    """Return a data set that is on this machine; nothing is downloaded.

    Raises:
        DataError: the name is unknown, an option is missing or not the data set's, or the data are absent, incomplete
            or corrupt.
    """
    chosen = Data(name=data) if isinstance(data, str) else data
    source, options = _find(chosen)
    part = {option: options.pop(option, None) for option in OPTIONS}
    seed = chosen.seed
    if source is None:
        taken = (*OPTIONS, "seed") if chosen.per_class else OPTIONS
        return select(load_own(chosen.model_copy(update=dict.fromkeys(taken))), **part, seed=seed)
    options.pop("stage", None)  # the trainer's: it copies the files and gives the new path
    if "seed" not in source.options:
        options.pop("seed", None)
    return select(source.load(**options), **part, seed=seed)


def _find(data: Data | str, complete: bool = True) -> tuple[Source | None, dict[str, Any]]:
    """Return the source of a data set (None for a function of the user's) and the options that the job gives."""
    chosen = Data(name=data) if isinstance(data, str) else data
    if is_own(chosen.name):
        return None, chosen.options
    if chosen.name not in SOURCES:
        near = difflib.get_close_matches(chosen.name, SOURCES, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise DataError(
            f"train.data: '{chosen.name}' is no data set; there are {', '.join(sorted(SOURCES))}, and your own as "
            f"package.module:function.{hint}"
        )
    source = SOURCES[chosen.name]
    of_all = (*OPTIONS, "seed") if chosen.per_class else OPTIONS
    for option in chosen.options:
        if option not in source.options and option not in of_all:
            takes = ", ".join([*source.options, *OPTIONS])
            raise DataError(f"train.data.{option}: {chosen.name} has no such option; it takes {takes}.")
    for option, required in source.options.items():
        if complete and required and option not in chosen.options:
            raise DataError(f"train.data.{option}: missing; {chosen.name} needs it. Add it in the job file.")
    return source, chosen.options
