"""`--where`, `--sort`, `--columns`: what is chosen, and that nothing in them is run as code."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcdl.collector import Row
from hpcdl.collector.select import order, where
from hpcdl.collector.table import Request, build
from hpcdl.errors import CollectError

ROWS = [
    Row("a-2", job_id="7", ranks=2, outcome="completed", loss=0.5, epochs_done=3, epochs_planned=3),
    Row("a-10", job_id="77", ranks=1, outcome="crash", cause="Bus ERROR", epochs_done=1, epochs_planned=3),
    Row("b'c", ranks=4, outcome="running", loss=0.25, metrics={"odd name": 1.0}),
]


def chosen(text: str) -> list[str]:
    return [record.rows[0].run for record in build(ROWS, Request(where=[text])).records]


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("ranks >= 2", ["a-2", "b'c"]),
        ("ranks>=2", ["a-2", "b'c"]),
        ("ranks < 2 or loss < 0.3", ["a-10", "b'c"]),
        ("not ranks == 2", ["a-10", "b'c"]),
        ("ranks = 1 or ranks = 2 and loss = 0.5", ["a-2", "a-10"]),
        ("(ranks = 1 or ranks = 2) and loss = 0.5", ["a-2"]),
        ("outcome != completed", ["a-10", "b'c"]),
        ("cause ~ error", ["a-10"]),
        ("loss == none", ["a-10"]),
        ("loss != none", ["a-2", "b'c"]),
        ("loss != 0.5", ["a-10", "b'c"]),
        ("loss < 1", ["a-2", "b'c"]),  # what is not known is not smaller
        ("job_id == 77", ["a-10"]),
        ("epochs_done < epochs_planned", ["a-10"]),
        ('run == "b\'c"', ["b'c"]),
        ("`metric.odd name` > 0", ["b'c"]),
    ],
)
def test_where(text, runs):
    assert chosen(text) == runs


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "ends where a column is due"),
        ("ranks", "ends where one of =="),
        ("ranks >=", "ends where a value is due"),
        ("ranks >= 2 3", "goes on with '3'"),
        ("(ranks >= 2", "lacks a )"),
        ("rank >= 2", "did you mean ranks"),
        ("zzz >= 2", "there are run, files"),
        ("ranks < many", "which is no number"),
        ("and", "no column 'and'"),
        ("(" * 1000 + "ranks > 1", "nested deeper than 50"),
        ("ranks > 1 and " * 1000, "longer than"),
        ("__import__('os').system('true')", "no column '__import__'"),
        ("ranks.__class__ == 1", "no column"),
        ("@ranks > 1", "no column '@ranks'"),
    ],
)
def test_what_is_no_condition_is_one_sentence(text, said):
    with pytest.raises(CollectError, match=r"^--where") as error:
        chosen(text)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@given(st.text(alphabet="ranks <>=!~()'\"`2andornot\x1b\\{}[].", max_size=60))
def test_any_text_is_a_condition_or_a_sentence(text):
    with contextlib.suppress(CollectError):
        assert where(text, ["ranks", "run"])({"ranks": 2}) in (True, False)


def test_sort_keeps_the_unknown_last_and_numbers_in_names_in_order():
    def runs(*keys: str) -> list[str]:
        return [record.rows[0].run for record in build(ROWS, Request(sort=keys)).records]

    assert runs("run") == ["a-2", "a-10", "b'c"]
    assert runs("loss") == ["b'c", "a-2", "a-10"]
    assert runs("-loss") == ["a-2", "b'c", "a-10"]
    assert runs("outcome", "-ranks") == ["a-2", "a-10", "b'c"]
    with pytest.raises(CollectError, match="--sort: no column 'los'; did you mean loss"):
        runs("los")


@given(st.lists(st.text() | st.floats(allow_nan=False) | st.integers()))
def test_anything_can_be_sorted(values):
    sorted(values, key=order)


def test_columns_are_those_asked_for_in_machine_and_people_formats():
    table = build(ROWS, Request(columns=["loss", "run"]))
    assert table.columns == ["loss", "run"]
    assert [column.header for column in table.shown] == ["loss", "run"]
    assert [column.text(table.records[0]) for column in table.shown] == ["0.5000", "a-2"]


def test_two_kinds_of_table_at_once_are_refused():
    with pytest.raises(CollectError, match="--epochs and --ranks are different tables"):
        build(ROWS, Request(epochs=True, ranks=True))
