"""What docs/data.md and docs/endings.md show is right."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from hpcdl.data import Data
from hpcdl.exits import Exit
from hpcdl.train.data import SOURCES
from hpcdl.train.data.select import OPTIONS

DOCS = Path(__file__).parent.parent / "docs"
DATA, ENDINGS = (DOCS / "data.md").read_text(), (DOCS / "endings.md").read_text()


@pytest.mark.parametrize("block", re.findall(r"^```yaml\n(.*?)^```", DATA, re.MULTILINE | re.DOTALL))
def test_the_data_of_a_job_can_be_written_so(block):
    chosen = Data.model_validate(YAML(typ="safe").load(block)["data"])
    if chosen.name in SOURCES:
        assert set(chosen.options) <= {*SOURCES[chosen.name].options, *OPTIONS, *(["seed"] if chosen.per_class else [])}
        assert {option for option, needed in SOURCES[chosen.name].options.items() if needed} <= set(chosen.options)


def test_the_table_has_every_data_set():
    rows = re.findall(r"^\| (`.*?) \|", DATA, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == set(SOURCES)


def test_the_table_has_every_exit_code():
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", ENDINGS, re.MULTILINE)
    assert {int(code): name for code, name in rows} == {code.value: code.name for code in Exit}
