"""From bytes to frames: bars, colours, prefixes, glued messages, and how long a line may be."""

import io
import itertools
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcdl.collector import frames as module
from hpcdl.collector.frames import Frame, frames


def texts(data: bytes) -> list[str]:
    return [frame.text for frame in frames(io.BytesIO(data))]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\xef\xbb\xbfone\r\ntwo\r\n", ["one", "two"]),
        (b"\0\0\0one\0\ntwo", ["one", "two"]),
        (b"\x1b[1m189/189\x1b[0m \x1b]0;title\x07done\x1b[0m", ["189/189 done"]),
        (b"old\rnew", ["old", "new"]),
        (b"one\b\b\b\b\b\rtwo\b\b\bthree", ["one", "two", "three"]),
        ("Gr\xfc\xdfe".encode("latin-1"), ["Gr\ufffd\ufffde"]),
        (b"# Epoch 1/5\n> > Epoch 2/5\n", ["Epoch 1/5", "Epoch 2/5"]),
        (b"\n \n\n", []),
        (b"", []),
        (b"a\xe2\x80", ["a\ufffd"]),
    ],
)
def test_cleaning(data, expected):
    assert texts(data) == expected


@pytest.mark.parametrize(
    ("line", "text", "rank"),
    [
        ("[1,3]<stdout>:Epoch 1/2", "Epoch 1/2", 3),
        ("Tue Apr 21 18:22:52 2020[1,0]<stderr>:text", "text", 0),
        ("[prterun-host-123@1,2]<stdout>: text", "text", 2),
        ("[0]<stdout>:text", "text", 0),
        ("Tue Apr 21 18:22:52 2020<stdout>:text", "text", None),
        ("[1,2]<stderr>:[rank2]: text", "text", 2),
        ("[1,0]<stderr>:operations.cc[1,0]<stderr>::588] x", "operations.cc:588] x", 0),
        ("[1,mpirank:5,algo-1]<stdout>:text", "text", 5),
        (" 7: text", "text", 7),
        ("[default1]:text", "text", 1),
        ("[rank2]: Traceback (most recent call last):", "Traceback (most recent call last):", 2),
        ("[stdout:4] text", "text", 4),
        ("6: 1107.533936, 1108.065186 avg", "6: 1107.533936, 1108.065186 avg", None),
        ("[Epoch 199] train=0.9", "[Epoch 199] train=0.9", None),
    ],
)
def test_prefixes_of_launchers(line, text, rank):
    assert list(frames(io.BytesIO(line.encode()))) == [Frame(1, text, rank)]


def test_a_message_in_the_middle_of_a_bar_is_cut_off():
    bar = "3976/10000 [==>...] - ETA: 1:29:08 - loss: 0.3932"
    killed = "/var/spool/slurmd/job1/slurm_script: line 16: 2880 Bus error   python x.py"
    cancelled = "slurmstepd: error: *** JOB 1 ON n CANCELLED AT 2019-01-19T20:25:40 ***"
    assert texts((bar + killed).encode()) == [bar, killed]
    assert texts((bar + cancelled).encode()) == [bar, cancelled]
    assert texts(b" 10%|# | 50/500 [00:10<01:30, 5.00it/s]{'loss': 0.5}") == [
        *(" 10%|# | 50/500 [00:10<01:30, 5.00it/s]", "{'loss': 0.5}"),
    ]


def test_what_is_drawn_over_a_line_comes_from_the_rank_before_it():
    bar = "[1,3]<stdout>: 1/2 [==>..] - ETA: 1s - loss: 0.5\r2/2 [=====] - 1s - loss: 0.4\n[1,0]<stdout>:text\nother"
    assert [(frame.line, frame.rank) for frame in frames(io.BytesIO(bar.encode()))] == [
        (1, 3),
        (1, 3),
        (2, 0),
        (3, None),
    ]


def test_only_the_last_state_of_a_bar_is_kept():
    bars = "".join(
        f"{step:4d}/100 [===>....] - ETA: 9s - loss: 0.{step:04d}" + "\b" * 60 + "\r" for step in range(1, 100)
    )
    end = "100/100 [=======] - 31s 83ms/step - loss: 0.5"
    assert texts(f"Epoch 1/2\n{bars}{end}\nEpoch 2/2\n".encode()) == [
        *("Epoch 1/2", "  99/100 [===>....] - ETA: 9s - loss: 0.0099", end, "Epoch 2/2"),
    ]


def test_bars_of_keras_3_are_told_apart_by_their_total():
    def bar(step, total):
        return f"\r\x1b[1m{step}/{total}\x1b[0m \x1b[32m━━━\x1b[0m \x1b[1m7s\x1b[0m 14ms/step - loss: 0.{step}"

    train = "".join(bar(step, 189) for step in range(1, 190))
    test = "".join(bar(step, 24) for step in range(1, 25))
    assert texts((train + test + "\n").encode()) == [
        *("189/189 ━━━ 7s 14ms/step - loss: 0.189", "24/24 ━━━ 7s 14ms/step - loss: 0.24"),
    ]


def test_a_bar_broken_over_lines_is_one_frame():
    broken = "48000/48000\n[=====] - 31s\n636us/step - loss: 0.0061 -\nval_loss: 0.0397\nEpoch 2/2\n"
    assert texts(broken.encode()) == [
        "48000/48000 [=====] - 31s 636us/step - loss: 0.0061 - val_loss: 0.0397",
        "Epoch 2/2",
    ]


def test_lines_are_numbered_as_an_editor_does():
    data = b"one\n\n\r\nfour\rstill four\n" + b"x\0\b\b\n" + b"six"
    assert [(frame.line, frame.text) for frame in frames(io.BytesIO(data))] == [
        *((1, "one"), (4, "four"), (4, "still four"), (5, "x"), (6, "six")),
    ]


@given(
    data=st.binary(max_size=300) | st.text("ab\r\n\b\0 1/[=]ETA:-", max_size=200).map(str.encode),
    size=st.integers(1, 40),
)
def test_the_size_of_the_blocks_makes_no_difference(data, size):
    whole = list(frames(io.BytesIO(data)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", size)
        assert list(frames(io.BytesIO(data))) == whole


class Endless(io.BufferedIOBase):
    """A line of `megabytes` MB without any break, then another line."""

    def __init__(self, megabytes: int) -> None:
        self._parts = itertools.chain(itertools.repeat(b"x" * 2**16, megabytes * 2**4), [b"\nlast\n"])

    def readinto1(self, into: memoryview) -> int:
        part = next(self._parts, b"")
        into[: len(part)] = part
        return len(part)


def test_a_line_of_100_megabytes_takes_no_memory():
    tracemalloc.start()
    first, last = frames(Endless(100))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(first.text), last) == (module.LONGEST, Frame(2, "last"))
    assert peak < 20e6
