"""docs/chain.md shows the chain that comes with hpcdl, and names the keys and conditions that there are."""

import re
from pathlib import Path
from typing import get_args

import typer.main
from chains import RESOURCES, TRAIN, chain_file

from hpcdl.chain.chainfile import Condition, Ranking, Stage, load_chain
from hpcdl.cli import app
from hpcdl.yamlfile import parse_value

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "chain.md").read_text()
YAML = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def first_column(header: str) -> set[str]:
    rows = PAGE.partition(f"| {header} |")[2].partition("\n\n")[0].splitlines()[2:]
    return {word for row in rows for word in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_the_file_shown_is_the_one_that_comes_with_hpcdl():
    lines = (ROOT / "jobs" / "chain.yaml").read_text().splitlines(keepends=True)
    assert "".join(line for line in lines if not line.startswith("#")) == YAML[0]


def test_the_command_of_one_s_own_is_a_good_stage(tmp_path):
    (stage,) = parse_value(YAML[1])
    chain = load_chain(chain_file(tmp_path, TRAIN, stage, ranking={"resources": RESOURCES}))
    assert chain.stage("infer").whole.ranks == 8


def test_every_key_and_every_condition_is_explained():
    assert first_column("key of a stage") == set(Stage.model_fields)
    assert first_column("key of `ranking`") == set(Ranking.model_fields)
    assert first_column("`after: {train: ...}`") == set(get_args(Condition))


def test_the_options_are_there():
    options = {
        option for parameter in typer.main.get_command(app).commands["chain"].params for option in parameter.opts
    }  # type: ignore[attr-defined]
    assert set(re.findall(r"hpcdl chain .*?(--\w+)", PAGE)) <= options
