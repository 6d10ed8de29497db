"""The queue between stages: models appear in it as files, one stage takes them as they come and writes what it finds.

A model is in the queue from the moment at which the batch script of its run renames a file to `queue/STAGE/POINT` (or
`queue/STAGE`), after its work has ended with exit code 0. The stage that takes it runs its command for this model and
writes `results/STAGE/POINT.json` in its own folder, also by a rename: what is there is whole, and is not done again.
"""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hpcdl.chain.chainfile import MODEL, RESULTS, Stage
from hpcdl.chain.folder import ChainFolder
from hpcdl.errors import RunError
from hpcdl.files import write_atomically
from hpcdl.run.find import Run, find_runs
from hpcdl.run.states import State
from hpcdl.run.status import look
from hpcdl.slurm.client import Slurm

POLL_S = 1.0
ASK_S = 10
"""Seconds between two questions to Slurm about those that nothing is heard of."""
LOG = "log.txt"
CANCELLED = (-signal.SIGTERM, 128 + signal.SIGTERM)
"""Exit codes of a program that is ended with its job, cancelled or out of time: that is no fault of the model."""


@dataclass(frozen=True)
class Result:
    """What was found out about one model."""

    model: str
    """STAGE or STAGE/POINT."""
    exit_code: int
    time_s: float
    reason: str | None
    """Why it failed, in the program's own words; None where it did not."""
    measures: dict[str, float]
    """All numbers of the program's *measures.json in the model's results."""


def name_of(run: Run, chain: ChainFolder) -> str:
    """Return a model's name: its run's folder inside the chain's."""
    return str(run.folder.relative_to(chain.path))


def results_folder(chain: ChainFolder, stage: Stage, model: str) -> Path:
    """Return the folder for what `stage` finds out about a model; the result lies beside it."""
    return chain.stage(stage.name) / "results" / model


def read_result(chain: ChainFolder, stage: Stage, model: str) -> Result | None:
    """Return what `stage` has found out about a model, None where it has not, or its file is damaged."""
    try:
        known = json.loads(_file(results_folder(chain, stage, model)).read_text(encoding="utf-8"))
        known.pop("schema")
        return Result(**known)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def take_all(
    chain: ChainFolder,
    stage: Stage,
    command: Sequence[str],
    slurm: Slurm | None,
    tell: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Run a command for every model that comes, until none can come any more.

    Args:
        stage: the one that takes models; what it has done before is not done again.
        command: what to start for a model, with MODEL and RESULTS in it.
        slurm: is asked about trainings that wrote down no end; None: nobody is.
        tell: is told a line for each model.
        sleep: waits so many seconds.

    Raises:
        RunError: as `_take`.
    """
    asked_s, waited_s = 0.0, float(ASK_S)
    doubted: set[Path] = set()
    while True:
        open_runs = [run for run in _sources(chain, stage) if not read_result(chain, stage, name_of(run, chain))]
        come = [run for run in open_runs if (chain.queue / name_of(run, chain)).is_file()]
        for run in come:
            tell(_told(_take(chain, stage, run, command)))
        if come:
            continue  # others may have come meanwhile
        ask = waited_s - asked_s >= ASK_S
        asked_s = waited_s if ask else asked_s
        statuses = look(open_runs, slurm if ask else None)
        lost = {Path(status.folder) for status in statuses if status.state is State.LOST}
        dead = {
            Path(status.folder) for status in statuses if status.state.ended and status.state is not State.COMPLETED
        }
        # Who is COMPLETED has put the model into the queue before it said so; LOST is believed the second time.
        if {run.folder for run in open_runs} <= dead - (lost - doubted):
            for status in statuses:
                tell(f"{Path(status.folder).relative_to(chain.path)}: no model ({status.state.value})")
            return
        doubted |= lost if ask else set()
        sleep(POLL_S)
        waited_s += POLL_S


def _sources(chain: ChainFolder, stage: Stage) -> list[Run]:
    there = [chain.stage(name) for name in stage.sources if chain.stage(name).is_dir()]
    return find_runs(there, chain.path)


def _take(chain: ChainFolder, stage: Stage, run: Run, command: Sequence[str]) -> Result:
    """Run the command for one model and write the result.

    Raises:
        RunError: it was ended from outside, cannot be started, or the result not be written.
    """
    model = name_of(run, chain)
    folder = results_folder(chain, stage, model)
    words = [word.replace(MODEL, str(run.folder)).replace(RESULTS, str(folder)) for word in command]
    began = time.monotonic()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / LOG, "wb") as log:
            code = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False).returncode
        time_s = round(time.monotonic() - began, 3)
        if code in CANCELLED:
            raise RunError(
                f"{model}: {words[0]} got SIGTERM; `{stage.name}` takes this model again when it begins again."
            )
        reason = None if code == 0 else _reason(folder / LOG, code)
        result = Result(model, code if code >= 0 else 128 - code, time_s, reason, _measures(folder))
        write_atomically(_file(folder), json.dumps({"schema": 1, **asdict(result)}, indent=1) + "\n")
    except OSError as fault:
        raise RunError(f"{folder}: {words[0]} cannot be run, or its result written ({fault.strerror}).") from None
    return result


def _told(result: Result) -> str:
    said = f"exit code {result.exit_code}: {result.reason}" if result.exit_code else _listed(result.measures)
    return f"{result.model}: {said} ({result.time_s:.1f} s)"


def _listed(measures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in measures.items()) or "done"


def _reason(log: Path, code: int) -> str:
    """The sentence in which a program said why it failed: its last line that begins with `error: `, else its last."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (errors or lines or [f"exit code {code}, and no word"])[-1]


def _measures(folder: Path) -> dict[str, float]:
    found: dict[str, Any] = {}
    for path in sorted(folder.glob("*measures.json")):
        try:
            found |= dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            continue  # not ours; the ranking says that the number is missing
    return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}


def _file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.json")
