"""Read a Keras log as JUBE and ReFrame read any log: regular expressions over the whole text.

JUBE (jube2/analyser.py, `_analyse_file`): the file is read whole as text, then `re.findall` with MULTILINE for every
pattern. ReFrame (reframe/utility/sanity.py, `extractall`): for every pattern the file is opened and read whole, then
`re.finditer` with MULTILINE. One pattern for each quantity, as both have it; the last match counts.

python whole_text.py jube|reframe LOG
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

PATTERNS = {
    "epoch": r"^Epoch (\d+)/\d+",
    "loss": r"\] - \d+s \S+ - loss: (\S+)",
    "accuracy": r"\] - \d+s \S+ - loss: \S+ - accuracy: (\S+)",
    "val_loss": r"val_loss: (\S+)",
    "val_accuracy": r"val_accuracy: (\S+)",
}


def jube(log: Path) -> Iterator[str]:
    with open(log) as file:
        text = file.read()
    for pattern in PATTERNS.values():
        yield re.findall(re.compile(pattern, re.MULTILINE), text)[-1]


def reframe(log: Path) -> Iterator[str]:
    for pattern in PATTERNS.values():
        with open(log, encoding="utf-8") as file:
            yield [match[1] for match in re.finditer(pattern, file.read(), re.MULTILINE)][-1]


if __name__ == "__main__":
    read = {"jube": jube, "reframe": reframe}[sys.argv[1]]
    print(*read(Path(sys.argv[2])))
