"""Bars that are drawn over: what is passed over by the block is what reading state by state replaces."""

import io
import itertools
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcdl.collector import bars, collect_rows
from hpcdl.collector import frames as module
from hpcdl.collector.frames import Frame, frames
from hpcdl.collector.opening import open_log

LOGS = sorted((Path(__file__).parent / "logs").glob("*.*"))


def read(stream, large: int, block: int) -> list[Frame]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LARGE", large)
        patch.setattr(module, "BLOCK", block)
        return list(frames(stream))


def state_by_state(data: bytes) -> list[Frame]:
    return read(io.BytesIO(data), large=sys.maxsize, block=1 << 20)


def by_the_block(data: bytes, block: int = 1 << 20) -> list[Frame]:
    return read(io.BytesIO(data), large=-1, block=block)


def keras_2(step: int, total: int, loss: float) -> str:
    done = 30 * step // total
    return f"{step:{len(str(total))}d}/{total} [{'=' * done}>{'.' * (29 - done)}] - ETA: 9s - loss: {loss:.4f}"


def keras_3(step: int, total: int, loss: float) -> str:
    done = 20 * step // total
    fill = f"\x1b[32m{'━' * done}\x1b[0m\x1b[37m{'━' * (20 - done)}\x1b[0m"
    return f"\x1b[1m{step:{len(str(total))}d}/{total}\x1b[0m {fill} \x1b[1m7s\x1b[0m 14ms/step - loss: {loss:.4f}"


def tqdm(step: int, total: int, loss: float) -> str:
    return f"Epoch 3:  {100 * step // total:3d}%|██▌  | {step}/{total} [00:29<00:35,  2.37it/s, loss={loss:.2f}]"


def pytorch(step: int, total: int, loss: float) -> str:
    return f"Train Epoch: 1 [{step}/{total} ({100 * step // total}%)]\tLoss: {loss:.6f}"


KINDS = (keras_2, keras_3, tqdm, pytorch)
BREAKS = ("\n", "\r", "\b\b\b\b\r", "\r\n", "\n\n", "\b")
BETWEEN = (
    *("Epoch 2/5\n", "  [1,3]<stdout>:", "[1,0]<stdout>: ", "3: ", "slurmstepd: error: *** JOB 1 ON n CANCELLED ***"),
    *("\n", "\t", "\0", "46/79 ━", "/100 [", " - ETA: ", "%|", "]", "100%|#| 5/5 [a]\n", "\x1b[1m", "Gr\xfc\xdfe\n"),
)


@st.composite
def logs(draw: st.DrawFn) -> bytes:
    """A log of runs of bars of every kind and break, with anything between and inside them."""
    parts: list[str] = []
    for _ in range(draw(st.integers(1, 6))):
        kind, ends = draw(st.sampled_from(KINDS)), draw(st.sampled_from(BREAKS))
        total, prefix = draw(st.sampled_from([7, 12, 100, 469])), draw(st.sampled_from(["", "", "[1,1]<stdout>:"]))
        first = draw(st.integers(0, total))
        for step in range(first, min(total + 1, first + draw(st.integers(0, 12)))):
            parts += [prefix, kind(step, total, step / 7), ends]
            if draw(st.integers(0, 9)) == 0:
                parts.append(draw(st.sampled_from(BETWEEN)))
        parts.append(draw(st.sampled_from(("", *BETWEEN))))
    return "".join(parts).encode()


@settings(deadline=None)
@given(data=logs(), block=st.integers(1, 2000))
def test_skimming_changes_no_frame(data, block):
    assert by_the_block(data, block) == state_by_state(data)


@settings(deadline=None)
@given(data=st.text("ab\r\n\b\0 1/[=]ETA:-%|━", max_size=300).map(str.encode) | st.binary(max_size=200))
def test_skimming_changes_no_frame_of_noise(data):
    assert by_the_block(data) == state_by_state(data)


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_skimming_changes_no_frame_of_a_fixture(path):
    with open_log(path) as one, open_log(path) as other:
        assert read(one, -1, 4099) == read(other, sys.maxsize, 1 << 20)


@pytest.mark.parametrize(("kind", "ends"), list(itertools.product(KINDS, ("\n", "\r", "\b\b\b\b\r"))))
def test_of_a_long_bar_nearly_nothing_is_read(kind, ends):
    states = "".join(kind(step, 5004, random.Random(step).random()) + ends for step in range(300, 5004))
    block = f"Epoch 1/2\n{states}the end\n".encode()
    skimmer = bars.Skimmer()
    kept = sum(stop - start for start, stop, _ in skimmer.passages(block, len(block)))
    assert kept < len(block) / 50
    assert by_the_block(block) == state_by_state(block)


@pytest.mark.parametrize("large", [-1, sys.maxsize])
def test_an_evaluation_right_after_an_epoch_that_did_not_end_is_a_bar_of_its_own(large):
    epoch = "".join(keras_2(step, 469, 0.5) + "\b\b\b\r" for step in range(1, 301))
    evaluation = "".join(keras_2(step, 79, 0.9) + "\b\b\b\r" for step in range(1, 79))
    found = read(io.BytesIO(f"Epoch 2/5\n{epoch}{evaluation}".encode()), large, 1 << 20)
    assert [frame.text.split(" [")[0] for frame in found] == ["Epoch 2/5", "300/469", "78/79"]


def test_the_progress_of_a_stopped_epoch_is_not_the_evaluations(tmp_path):
    log = tmp_path / "job.log"
    epoch = "".join(keras_2(step, 469, 0.5) + "\n" for step in range(1, 301))
    log.write_text(f"Epoch 2/5\n{epoch}" + keras_2(78, 79, 0.9) + "\n")
    (row,) = collect_rows([log], pytest.fail)
    assert row.partial == "epoch 2 at 300/469, loss 0.5000"


# ru_maxrss would begin with that of the process that started this one: VmHWM (KiB) is of this program alone.
READER = """
import re, sys
from hpcdl.collector import collect_rows
row, = collect_rows([sys.argv[1]], print)
print(row.epochs_done, row.val_loss, int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("ends", ["\n", "\b" * 90 + "\r"], ids=["lines", "backspaces"])
def test_memory_does_not_grow_with_the_log(tmp_path, ends):
    """300 MB take less than 200 MB, numpy and all, and no more than 30 MB do."""
    steps = "".join(keras_2(step, 5004, 1 / step) + ends for step in range(1, 5004))
    last = f"5004/5004 [{'=' * 30}] - 31s 83ms/step - loss: 0.1 - val_loss: 0.25\n"
    peaks = []
    for megabytes in (30, 300):
        epochs = megabytes * 1_000_000 // len(steps) + 1
        with open(tmp_path / "job.log", "w") as log:
            log.writelines(f"Epoch {epoch}/{epochs}\n{steps}{last}" for epoch in range(1, epochs + 1))
        command = [sys.executable, "-c", READER, str(tmp_path / "job.log")]
        done, loss, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert (int(done), float(loss)) == (epochs, 0.25)
        peaks.append(int(peak))
    assert max(peaks) < 200
    assert peaks[1] - peaks[0] < 20
