"""docs/training.md names every key of the `train:` section, with its default, and no other."""

import re
from pathlib import Path

from pydantic_core import PydanticUndefined

from hpcdl.data import Data
from hpcdl.job import load_job
from hpcdl.network import Network
from hpcdl.training import Training
from hpcdl.yamlfile import Section

ELSEWHERE = (Network, Data)
"""What models.md and data.md document."""

PAGE = Path(__file__).parent.parent / "docs" / "training.md"
ROW = re.compile(r"^\| `([\w.]+)` \| (?:`(.*?)`)? ?\|", re.MULTILINE)


def keys(model, prefix=""):
    """Every key and its default as a text, None where there is none."""
    found = {}
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        inner = next((k for k in kinds if isinstance(k, type) and issubclass(k, Section) and k not in ELSEWHERE), None)
        if inner:
            found |= keys(inner, f"{prefix}{name}.")
        else:
            known = field.default not in (PydanticUndefined, None)
            text = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
            found[prefix + name] = text if known else None
    return found


def test_every_key_is_there_with_its_default():
    rows = ROW.findall(PAGE.read_text())
    documented = {key: default or None for key, default in rows}
    assert len(documented) == len(rows), "a key stands twice"
    assert documented == keys(Training)


def test_the_example_is_a_job(tmp_path):
    (block,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "job.yaml").write_text(block)
    assert load_job(tmp_path / "job.yaml").training.optimizer.scale == "linear"
