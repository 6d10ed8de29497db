"""What runs reached, taken from their folders: python tests/bench/accuracy.py RUN... [-o FOLDER].

For trainings that take too long to be part of `make bench`. Writes FOLDER/accuracy.json with the figures alone.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from harness import machine, spread, table, versions

from hpcdl.run.record import RECORD_FILE
from hpcdl.runlog import METRICS_FILE, read_events

TITLE = "Accuracy of whole runs"


def read(run: Path) -> dict[str, Any]:
    """Return the figures of a run that went well, in one piece.

    Raises:
        ValueError: it did not.
    """
    record = json.loads((run / RECORD_FILE).read_text())
    events, _ = read_events((run / METRICS_FILE).read_text().splitlines())
    by_kind = {event["event"]: event for event in events}
    if by_kind.get("run_end", {}).get("status") != "success":
        raise ValueError(f"{run}: did not end well")
    if by_kind["run_start"].get("steps_done"):
        raise ValueError(f"{run}: was resumed, its time is not known")
    return {
        "job": record["name"],
        "seed": record["job"]["train"]["seed"],
        "ranks": by_kind["run_start"]["ranks"],
        "epochs": by_kind["run_start"]["epochs"],
        "test_accuracy": round(by_kind["test"]["test_accuracy"], 4),
        "time_s": round(record["time_s"], 1),
        "images_per_s": round(by_kind["run_end"]["images_per_s"], 1),
    }


def section(found: dict[str, Any]) -> str:
    """Return what was found in Markdown."""
    rows = []
    for job in dict.fromkeys(run["job"] for run in found["runs"]):
        runs = [run for run in found["runs"] if run["job"] == job]
        columns = [[run[key] for run in runs] for key in ("test_accuracy", "time_s", "images_per_s")]
        figures = [spread(column, digits) for column, digits in zip(columns, (4, 0, 0), strict=True)]
        rows.append([f"`jobs/{job}.yaml`", len(runs), runs[0]["epochs"], runs[0]["ranks"], *figures])
    head = ["job", "n (seeds)", "epochs", "ranks", "test accuracy", "seconds, start included", "images/s"]
    return table(head, rows) + "\nWhole runs on the real data, not interleaved with anything.\n"


plot = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="the folder of a run")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/performance"), metavar="FOLDER")
    arguments = parser.parse_args()
    try:
        runs = [read(run) for run in arguments.runs]
    except (OSError, ValueError) as fault:
        parser.error(f"{fault}: give folders of whole runs")
    found = {"title": TITLE, "machine": machine(), "versions": versions(), "runs": runs}
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "accuracy.json").write_text(json.dumps(found, indent=1) + "\n")
    print(section(found))


if __name__ == "__main__":
    main()
