"""Throughput benchmarks: tf_cnn_benchmarks, NVIDIA's nvcnn table, Horovod's synthetic benchmarks."""

import re
from collections.abc import Callable

from hpcdl.collector.events import Event, Fact, Progress, Rate, Sign
from hpcdl.collector.readers.numbers import POSITIVE

ROW = re.compile(r"\s*(\d+)\s+(\d+\.\d+)\s+(\d+\.\d+)\s+(\d+\.\d+|nan)\s+(\d+\.\d+|nan)\s+(\d+\.\d+)\s*")
HEADER = re.compile(r"\s*Step\s+Epoch\s+Img/sec\s+Loss\s+LR\s*")
TF_CNN = re.compile(rf"(?:^|\s)(\d+)\s+images/sec: ({POSITIVE}) \+/- [\d.]+ \(jitter = [\d.]+\)\s+({POSITIVE}|nan)")
TF_CNN_TOTAL = re.compile(rf"total images/sec: ({POSITIVE})")
BATCHES = re.compile(r"Num batches:\s+(\d+)")
HOROVOD_ITER = re.compile(rf"Iter #\d+: ({POSITIVE}) img/sec per (?:GPU|CPU)")
HOROVOD_TOTAL = re.compile(rf"Total img/sec on (\d+) (?:GPU|CPU)\(s\): ({POSITIVE})")


def reader() -> tuple[tuple[str, ...], Callable[[str], list[Event]]]:
    """Return triggers and a function that reads one file's lines in order; it remembers a table's header."""
    state = {"table": False, "steps": 0}

    def read(text: str) -> list[Event]:
        if state["table"] and (match := ROW.fullmatch(text)):
            return [Progress({"loss": float(match[4])}, int(match[1])), Rate(float(match[3]), ranks=True)]
        if "/sec" not in text and "Num batches" not in text:
            return []
        if HEADER.fullmatch(text):
            state["table"] = True
            return []
        if match := TF_CNN.search(text):
            progress = Progress({"loss": float(match[3])}, int(match[1]), state["steps"] or None)
            return [Fact("framework", "tf_cnn_benchmarks"), progress, Rate(float(match[2]), ranks=False)]
        if match := TF_CNN_TOTAL.search(text):
            total = Rate(float(match[1]), ranks=True, final=True)
            return [total, Sign("completed", "success", "the benchmark printed its total")]
        if match := BATCHES.match(text):
            state["steps"] = int(match[1])
            return []
        if match := HOROVOD_TOTAL.search(text):
            total = Rate(float(match[2]), ranks=True, final=True)
            return [
                Fact("ranks", int(match[1])),
                total,
                Sign("completed", "success", "the benchmark printed its total"),
            ]
        if match := HOROVOD_ITER.search(text):
            return [Rate(float(match[1]), ranks=False)]
        return []

    return ("",), read
