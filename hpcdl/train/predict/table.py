"""The tables of predictions: a row for each input, a row for each class, as CSV or Parquet."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from hpcdl.errors import LookError
from hpcdl.files import write_atomically
from hpcdl.train.predict.deal import Outputs
from hpcdl.train.predict.measures import by_class
from hpcdl.train.predict.samples import Samples

FORMATS = (".csv", ".parquet")


def of_classes(samples: Samples, outputs: Outputs, names: Sequence[str]) -> pd.DataFrame:
    """Return a row for each input, in the order of the inputs.

    Columns: path; predicted (the name of the class) and probability (0..1), both empty for an input that could not be
    read; true (the name), where the classes are known; error, why it could not be read.
    """
    read = ~np.isnan(outputs.values).any(axis=1)
    best = np.nan_to_num(outputs.values).argmax(axis=1)
    columns = {
        "path": list(samples.names),
        "predicted": [names[place] if there else None for place, there in zip(best, read, strict=True)],
        "probability": outputs.values[np.arange(len(best)), best],
    }
    if samples.truth is not None:
        columns["true"] = [names[place] for place in samples.truth]
    return _with_errors(columns, outputs)


def of_numbers(samples: Samples, outputs: Outputs, names: Sequence[str]) -> pd.DataFrame:
    """Return a row for each input of a regression: path, each target's prediction, true_TARGET where known, error."""
    columns = {"path": list(samples.names), **dict(zip(names, outputs.values.T, strict=True))}
    if samples.truth is not None:
        columns |= {f"true_{name}": column for name, column in zip(names, samples.truth.T, strict=True)}
    return _with_errors(columns, outputs)


def of_each_class(matrix: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """Return a row for each class: class, precision, recall, f1, n."""
    return pd.DataFrame({"class": list(names), **by_class(matrix)})


def of_confusion(matrix: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """Return the confusion matrix: a row for each true class, a column for each predicted one."""
    return pd.DataFrame(matrix, columns=list(names)).assign(true=list(names)).set_index("true").reset_index()


def of_errors(samples: Samples, outputs: Outputs, names: Sequence[str]) -> pd.DataFrame:
    """Return a row for each target of a regression: mae, rmse and bias (mean of predicted - true), in its own unit."""
    assert samples.truth is not None
    differences = (outputs.values - samples.truth).astype(np.float64)
    differences = differences[~np.isnan(differences).any(axis=1)]
    return pd.DataFrame(
        {
            "target": list(names),
            "mae": np.abs(differences).mean(axis=0),
            "rmse": np.sqrt(np.square(differences).mean(axis=0)),
            "bias": differences.mean(axis=0),
            "n": len(differences),
        }
    )


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as the end of the path says, at once or not at all.

    Raises:
        LookError: the path ends otherwise, cannot be written, or Parquet lacks its package.
    """
    content = io.BytesIO()
    try:
        if path.suffix == ".parquet":
            frame.to_parquet(content, index=False)
        else:
            frame.to_csv(content, index=False, lineterminator="\n")
        write_atomically(path, content.getvalue())
    except ImportError:
        raise LookError(
            f"{path}: Parquet needs pyarrow. Install it (pip install 'hpcdl[report]'), or write .csv."
        ) from None
    except OSError as fault:
        raise LookError(f"{path}: cannot be written ({fault.strerror}). Choose another place by -o.") from None


def check(path: Path) -> None:
    """Refuse a path before anything is computed for it.

    Raises:
        LookError: its end is no format, or its folder is not there or not writable.
    """
    if path.suffix not in FORMATS:
        raise LookError(f"-o {path}: a table ends in {' or '.join(FORMATS)}.")
    if not path.parent.is_dir():
        raise LookError(f"-o {path}: there is no folder {path.parent}. Make it, or choose another place.")


def _with_errors(columns: dict, outputs: Outputs) -> pd.DataFrame:
    if outputs.faults:
        columns["error"] = [outputs.faults.get(place) for place in range(len(columns["path"]))]
    return pd.DataFrame(columns)
