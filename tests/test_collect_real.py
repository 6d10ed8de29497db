"""Real logs that no one prepared for us, where HPCDL_LOGS names a folder of them with an INDEX.tsv: third-party files
that are tested where they lie and are no part of this project."""

import csv
import os
import re
from pathlib import Path

import pytest

from hpcdl.collector import collect_rows

FOLDER = Path(os.environ.get("HPCDL_LOGS", ""))
pytestmark = pytest.mark.skipif(
    not os.environ.get("HPCDL_LOGS") or not (FOLDER / "INDEX.tsv").is_file(),
    reason="no real logs: set HPCDL_LOGS to a folder of logs with an INDEX.tsv",
)
PAIRS = r"\d+_(?P<run>pbs-keras-unet)-(?P<stream>stdout|stderr)"
NUMBER = re.compile(r"(?<![\d/.])\d+\.\d+(?:e-?\d+)?")

# Numbers of the index that a row does not have: single steps beside the median, one worker beside another, rounding.
LEFT_OUT = {"3634.9", "1436.0", "917.2", "308.0", "154.2", "8.372", "2.22", "0.2452"}


def index() -> list[dict[str, str]]:
    if not (FOLDER / "INDEX.tsv").is_file():
        return []
    with open(FOLDER / "INDEX.tsv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.mark.parametrize("entry", index(), ids=lambda entry: entry["file"][:40])
def test_outcome_and_every_number_agree_with_a_careful_reader(entry):
    paired = "pbs-keras-unet" in entry["file"]
    rows = collect_rows([FOLDER if paired else FOLDER / entry["file"]], pytest.fail, PAIRS if paired else None)
    expected = "crash_after_training" if paired else entry["outcome_code"]
    assert {row.outcome for row in rows} == {expected}
    values = [value for row in rows for value in row.as_dict().values() if isinstance(value, int | float)]
    partial = " ".join(row.partial or "" for row in rows)
    for number in NUMBER.findall(" ".join(entry[column] for column in ("last_epoch", "final_test", "throughput"))):
        assert number in LEFT_OUT or number in partial or any(_same(value, number) for value in values), number


def _same(value: float, number: str) -> bool:
    """Tell whether `value` is `number` at the digits that it has; seconds here may be milliseconds there."""
    mantissa, _, exponent = number.partition("e")
    half = 0.51 * 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    return any(abs(value * scale - float(number)) <= half for scale in (1, 1000))
