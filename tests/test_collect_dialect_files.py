"""Log lines of a user's own, by a few lines of YAML."""

from pathlib import Path

import pytest

from hpcdl.collector import collect_rows
from hpcdl.errors import CollectError

DIALECT = r"""
name: my_solver
lines:
  - match: 'sweep (?P<epoch>\d+) of (?P<epochs>\d+): loss (?P<loss>\S+), hit (?P<accuracy>\S+)%, (?P<epoch_s>\S+) min'
    units: {epoch_s: min, accuracy: '%'}
  - match: 'edit took (?P<edit_s>\S+) ms'
    units: {edit_s: ms}
    keep: median
  - match: 'verdict (?P<test_accuracy>\S+)'
  - match: 'solver diverged'
    outcome: crash
"""


@pytest.fixture
def read(tmp_path):
    def read(dialect: str, *lines: str):
        (tmp_path / "my.yaml").write_text(dialect)
        (tmp_path / "job.log").write_text("\n".join(lines) + "\n")
        warnings: list[str] = []
        (row,) = collect_rows([tmp_path / "job.log"], warnings.append, dialects=[tmp_path / "my.yaml"])
        return row, warnings

    return read


def test_epochs_with_units(read):
    row, _ = read(DIALECT, "sweep 1 of 2: loss 1e-2, hit 71.5%, 2 min", "sweep 2 of 2: loss 5e-3, hit 80%, 1.5 min")
    assert (row.epochs_done, row.epochs_planned, row.loss, row.accuracy) == (2, 2, 0.005, 0.8)
    assert (row.epoch_s, row.outcome) == (90, "completed")


def test_values_and_their_reducer(read):
    row, _ = read(DIALECT, "edit took 100 ms", "edit took 900 ms", "edit took 300 ms", "verdict 0.9")
    assert row.metrics["edit_s"] == pytest.approx(0.3)
    assert row.test_accuracy == 0.9


def test_an_outcome(read):
    row, _ = read(DIALECT, "sweep 1 of 2: loss 1e-2, hit 71.5%, 2 min", "oh no: solver diverged")
    assert (row.outcome, row.cause, row.evidence.line) == ("crash", "oh no: solver diverged", 2)


def test_a_regex_bomb_is_set_aside(read):
    bomb = DIALECT + "  - match: '(?P<x>(a|aa)+)$'\n"
    row, warnings = read(bomb, "a" * 80 + "!", "a" * 80 + "!", "verdict 0.9")
    assert row.test_accuracy == 0.9
    assert len(warnings) == 1
    assert "set aside" in warnings[0]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("name: x\nlines: []\n", "lines"),
        ("name: x\nlines: [{match: '('}]\n", "no regular expression"),
        ("name: x\nlines: [{match: 'plain'}]\n", "no named group"),
        ("name: x\nlines: [{match: '(?P<a>x)', outcome: dead}]\n", "no outcome"),
        ("name: x\nlines: [{match: '(?P<a>x)', units: {b: s}}]\n", "no group 'b'"),
        ("name: x\nlines: [{match: '(?P<a>x)', units: {a: parsec}}]\n", "not allowed"),
        ("name: x\nlines: [{match: '(?P<a>x)', keep: best}]\n", "not allowed"),
        ("name: x\nlines: [{mach: '(?P<a>x)'}]\n", "Did you mean 'match'"),
        ("- 1\n", "expected"),
    ],
)
def test_a_wrong_dialect_is_refused(read, text, fault):
    with pytest.raises(CollectError, match=fault):
        read(text, "line")


def test_the_example_in_the_documentation_is_right(tmp_path):
    from hpcdl.collector import dialect

    example = dialect.__doc__.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "my.yaml").write_text(example)
    dialect.load_dialects([Path(tmp_path / "my.yaml")], pytest.fail)
