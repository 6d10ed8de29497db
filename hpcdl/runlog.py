"""hpcdl's own log lines: each kind is written and read here, so that the two cannot drift apart.

Three forms, all of rank 0:
- people's lines, in the words and shape of Keras 3 (`verbose=2`) and of the lecture's script;
- `metrics.jsonl`: one JSON object a line, made for programs; EVENTS lists the kinds and their fields;
- `mlperf.log`: `:::MLLOG` lines, MLPerf's form.
"""

import json
import math
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

METRICS_FILE = "metrics.jsonl"
MLLOG_FILE = "mlperf.log"

MLLOG_TOKEN = ":::MLLOG "
METRICS = ("loss", "accuracy", "top5_accuracy", "mirrored_accuracy", "mae")
"""What a training, a validation or a test may measure: loss, and accuracies of classes or the mean absolute error of a
regression."""
EVENTS: dict[str, list[str]] = {
    "run_start": "ranks epochs batch_size global_batch_size steps_per_epoch parameters precision train_images "
    "validation_images test_images data rank_map versions job_digest steps_done".split(),
    "progress": ["epoch", "step", "steps", "images_per_s", *METRICS],
    "epoch": [
        *("epoch", "epochs", "step", "learning_rate", "epoch_s", "images_per_s", "input_wait"),
        *METRICS,
        *(f"val_{name}" for name in METRICS),
    ],
    "test": [f"test_{name}" for name in METRICS],
    "run_end": "status reason train_s time_s images_per_s images_per_s_std images_per_s_n images_per_s_per_rank "
    "input_wait weight_hash unmet".split(),
}
"""The kinds of event in metrics.jsonl and the fields that they may have. Every event also has `event` and `time`
(seconds since 1970, UTC). A quantity that is not known, not finite or not asked for is null or left out. `epoch` and
`step` count from 1, steps over the whole run; durations (`_s`) are seconds; images_per_s is the sum over all ranks, its
`_std` the standard deviation over `_n` blocks of steps. `input_wait` is the part of the training time (0..1) that the
rank which waited longest spent waiting for inputs. `steps_done` is not 0 in a run that was continued: later epochs then
replace those of the same number. `status` is `success` or `aborted`, `unmet` lists the job's expectations
that were missed."""

EPOCH_LINE = re.compile(
    r"(?P<step>\d+)/(?P<steps>\d+) - (?P<epoch_s>\d+)s - \d+(?:s|ms|us)/step(?P<metrics>(?: - \w+: \S+)+)"
)


def format_event(event: str, **fields: Any) -> str:
    """Return one line of metrics.jsonl (without the newline); NaN and infinities become null, as JSON has none."""
    assert set(fields) <= set(EVENTS[event]), (event, fields)
    return json.dumps(_finite({"event": event, "time": round(time.time(), 3), **fields}))


def read_events(lines: Iterable[str]) -> tuple[list[dict[str, Any]], int]:
    """Read lines of metrics.jsonl.

    Returns:
        The events in order, and the number of lines that are none: a line cut by a crash is counted, not raised.
    """
    events, broken = [], 0
    for line in lines:
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            event = None
        if isinstance(event, dict) and event.get("event") in EVENTS:
            events.append(event)
        else:
            broken += 1
    return events, broken


def format_mllog(key: str, value: Any = None, event_type: str = "POINT_IN_TIME", **metadata: Any) -> str:
    """Return one MLPerf line, https://github.com/mlcommons/logging.

    Args:
        key: MLPerf's word where there is one (run_start, eval_accuracy, ...), ours begin with `hpcdl_`.
        event_type: INTERVAL_START, INTERVAL_END or POINT_IN_TIME.
    """
    record = {
        "namespace": "",
        "time_ms": int(time.time() * 1000),
        "event_type": event_type,
        "key": key,
        "value": value,
        "metadata": metadata,
    }
    return MLLOG_TOKEN + json.dumps(_finite(record))


def parse_mllog(line: str) -> dict[str, Any] | None:
    """Read an MLPerf line inside `line`: launchers put prefixes before it, other ranks text behind it."""
    _, token, payload = line.partition(MLLOG_TOKEN)
    if not token:
        return None
    try:
        record, _ = json.JSONDecoder().raw_decode(payload)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and "key" in record else None


def format_epoch(step: int, steps: int, epoch_s: float, metrics: Mapping[str, float]) -> str:
    """Return the line that Keras 3 prints at the end of an epoch (`verbose=2`).

    >>> format_epoch(375, 375, 31.2, {"accuracy": 0.99811, "loss": 0.0061})
    '375/375 - 31s - 83ms/step - accuracy: 0.9981 - loss: 0.0061'
    """
    per_step = epoch_s / max(step, 1)
    if per_step >= 1:
        step_time = f"{per_step:.0f}s"
    elif per_step >= 1e-3:
        step_time = f"{per_step * 1e3:.0f}ms"
    else:
        step_time = f"{per_step * 1e6:.0f}us"
    return f"{step}/{steps} - {epoch_s:.0f}s - {step_time}/step" + "".join(
        f" - {name}: {format_metric(value)}" for name, value in metrics.items()
    )


def parse_epoch(line: str) -> dict[str, Any] | None:
    """Read a line that `format_epoch` wrote.

    >>> parse_epoch("375/375 - 31s - 83ms/step - accuracy: 0.9981 - loss: 0.0061")["accuracy"]
    0.9981
    """
    match = EPOCH_LINE.fullmatch(line.strip())
    if not match:
        return None
    pairs = (item.split(": ") for item in match["metrics"].split(" - ")[1:])
    metrics = {name: float(value) for name, value in pairs}
    return {"step": int(match["step"]), "steps": int(match["steps"]), "epoch_s": float(match["epoch_s"]), **metrics}


def format_metric(value: float) -> str:
    """Return a metric as Keras prints it: four decimals, or four digits and an exponent when it is small.

    >>> format_metric(0.99271), format_metric(0.0000128)
    ('0.9927', '1.2800e-05')
    """
    return f"{value:.4f}" if abs(value) > 1e-3 or value == 0 else f"{value:.4e}"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
