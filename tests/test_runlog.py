"""Our own log lines come back as they were written, whatever stands around them."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcdl import runlog

names = st.sampled_from(["loss", "accuracy", "val_loss", "val_accuracy"])
numbers = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.integers(1, 10**6), st.floats(0.001, 1e5), st.dictionaries(names, numbers, min_size=1))
def test_an_epoch_line_is_read_back_to_its_four_digits(steps, epoch_s, metrics):
    read = runlog.parse_epoch(runlog.format_epoch(steps, steps, epoch_s, metrics))
    assert read is not None
    assert (read["step"], read["steps"], read["epoch_s"]) == (steps, steps, round(epoch_s))
    for name, value in metrics.items():
        assert read[name] == pytest.approx(value, abs=5.1e-5, rel=1e-4)


@given(st.dictionaries(names, st.floats(allow_nan=True, allow_infinity=True)))
def test_an_event_is_read_back_and_what_is_not_finite_is_null(metrics):
    line = runlog.format_event("epoch", epoch=3, **metrics)
    assert "\n" not in line
    json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    (event,), broken = runlog.read_events([line])
    assert broken == 0
    for name, value in metrics.items():
        assert event[name] == (value if math.isfinite(value) else None)


def test_a_line_cut_by_a_crash_is_counted_and_the_others_are_read():
    lines = [runlog.format_event("epoch", epoch=epoch) for epoch in (1, 2)]
    events, broken = runlog.read_events([lines[0], lines[1][:-5], "", "[1]", '{"event": "unheard"}'])
    assert [event["epoch"] for event in events] == [1]
    assert broken == 3


@pytest.mark.parametrize("prefix", ["", "0: ", "[1,0]<stdout>:", "Epoch 3/5\r"])
@pytest.mark.parametrize("suffix", ["", " and another rank's text"])
def test_an_mlperf_line_survives_launchers_and_other_ranks(prefix, suffix):
    line = prefix + runlog.format_mllog("eval_accuracy", 0.99, epoch_num=3) + suffix
    record = runlog.parse_mllog(line)
    assert record is not None
    assert (record["key"], record["value"], record["metadata"]) == ("eval_accuracy", 0.99, {"epoch_num": 3})


@pytest.mark.parametrize("line", ["", "Epoch 1/3", ":::MLLOG", ":::MLLOG {cut", ':::MLLOG {"no": "key"}', ":::MLLOG 1"])
def test_what_is_no_mlperf_line_is_none(line):
    assert runlog.parse_mllog(line) is None
