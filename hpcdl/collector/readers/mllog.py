"""MLPerf's lines: `:::MLLOG {json}` (ours are among them), `:::MLL TIME KEY: {json}` and, before those,
`:::MLPv0.5.0 MODEL TIME (FILE) KEY: VALUE`."""

import json
import math
import re
from typing import Any

from hpcdl.collector.events import EpochEnd, EpochStart, Event, Fact, Sign, Tested
from hpcdl.runlog import parse_mllog

TRIGGERS = (":::ML",)

OLD = re.compile(r":::ML(?:Pv[\d.]+ (?P<model>\S+)|L) (?P<time>[\d.]+) (?:\([^)]*\) )?(?P<key>\w+)(?:: (?P<value>.*))?")


def read(text: str) -> list[Event]:
    """Read one line of MLPerf's log; a key that tells nothing of result or end is passed over."""
    record = parse_mllog(text) or _old(text)
    if not record:
        return []
    key, value, metadata = record["key"], record.get("value"), record.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    epoch = next((metadata[name] for name in ("epoch_num", "epoch") if type(metadata.get(name)) is int), None)
    if key == "epoch_start" and epoch is not None:
        return [EpochStart(epoch)]
    if key in ("epoch_stop", "train_epoch_stop") and epoch is not None:
        return [EpochEnd({}, epoch)]
    if key in ("eval_accuracy", "eval_error", "eval_loss") and (number := _number(value)) is not None:
        name = {"eval_accuracy": "val_accuracy", "eval_loss": "val_loss"}.get(key, key)
        return [EpochEnd({name: number}, epoch)] if epoch is not None else [Tested({key.removeprefix("eval_"): number})]
    if key == "run_stop":
        status = str(metadata.get("status", "success"))
        if status == "success":
            return [Sign("completed", "success", "MLPerf: run_stop, status success")]
        return [Sign("crash", "consequence", f"MLPerf: run_stop, status {status}")]
    if key == "submission_benchmark" and isinstance(value, str):
        return [Fact("job", value)]
    return []


def _old(text: str) -> dict[str, Any] | None:
    match = OLD.search(text)
    if not match:
        return None
    try:
        value = json.loads(match["value"]) if match["value"] else None
    except (ValueError, RecursionError):
        value = match["value"]
    if isinstance(value, dict):
        metadata = value.get("metadata") if isinstance(value.get("metadata"), dict) else value
        return {"key": match["key"], "value": value.get("value"), "metadata": metadata}
    return {"key": match["key"], "value": value, "metadata": {"epoch": value} if isinstance(value, int) else {}}


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
