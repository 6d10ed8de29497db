"""Numbers and names of metrics, as logs write them."""

import re
from functools import lru_cache

NUMBER = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+|nan|inf)"
POSITIVE = r"\d+(?:\.\d+)?"
TIME = r"(?:\d{1,6}-)?\d{1,9}(?::\d{1,9}){0,2}"
"""A text that `seconds` reads."""

# Words of a name, and what they become; the rest of the name stays.
WORDS = {
    "acc": "accuracy",
    "top1": "accuracy",
    "training": "train",
    "trn": "train",
    "validation": "val",
    "valid": "val",
    "dev": "val",
    "testing": "test",
    "err": "error",
    "avg": "average",
    "mean": "average",
}
FILLERS = ("on", "the", "of", "set", "dataset", "data", "in", "for")
SPLIT = re.compile(r"[^A-Za-z0-9]+")


@lru_cache(maxsize=1024)
def metric_name(label: str) -> str:
    """Return the name under which a metric is kept: Keras's where it has one.

    >>> [metric_name(label) for label in ("Validation Accuracy", "Training Loss", "Accuracy on test set")]
    ['val_accuracy', 'loss', 'test_accuracy']
    """
    words = [WORDS.get(word, word) for word in SPLIT.split(label.lower()) if word and word not in FILLERS]
    for part in ("val", "test"):
        if part in words and words[0] != part:
            words.remove(part)
            words.insert(0, part)
    if "best" in words:
        words.remove("best")
        words.insert(0, "best")
    if words and words[0] == "train" and len(words) > 1 and words[1] != "time":
        words = words[1:]
    if "average" in words and words[-1] in ("loss", "accuracy"):
        words.remove("average")
    return "_".join(words)


def fraction(percent: float) -> float:
    """Return a percentage as a part of 1, without the dust of binary division.

    >>> fraction(66.93)
    0.6693
    """
    return round(percent / 100, 12)


def seconds(text: str) -> float:
    """Return the seconds of `mm:ss`, `h:mm:ss`, `d-hh:mm:ss` or plain seconds.

    >>> seconds("1:02:05"), seconds("00:38"), seconds("1-00:00:00"), seconds("12.5")
    (3725.0, 38.0, 86400.0, 12.5)
    """
    days, _, rest = text.rpartition("-")
    total = 0.0
    for part in rest.split(":"):
        total = total * 60 + float(part)
    return total + 86400 * int(days or 0)
