"""The stages of a chain on this machine, without a queue, one after the other."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from hpcdl.chain.condition import Met, judge
from hpcdl.chain.folder import RANKING, ChainFolder
from hpcdl.chain.steps import Place, has_more_models, prepare, steps
from hpcdl.job import Job
from hpcdl.run.find import find_runs
from hpcdl.run.local import MPI_SETTINGS
from hpcdl.run.states import State
from hpcdl.run.status import Status, look
from hpcdl.run.submit import SCRIPT_FILE


def run(chain: ChainFolder, place: Place) -> Iterator[str]:
    """Run all stages that have not ended yet on this machine, one after the other, and yield a line for each.

    Raises:
        HpcdlError: a stage cannot run here.
    """
    states: dict[str, list[State]] = {}
    known: dict[str, list[Status]] = {}
    for step in steps(chain):
        folder = chain.stage(step.name)
        num_runs = len(step.job.sweep.all_points()) if step.job.sweep else 1
        if judge(step.after, states) is Met.NEVER:
            states[step.name], known[step.name] = [State.CANCELLED] * num_runs, []
            yield f"{step.name}: not started, as what it waits for can never be"
            continue
        known[step.name] = look(find_runs([folder], chain.path), None) if _is_ready(folder) else []
        has_ended = known[step.name] and all(status.state.ended for status in known[step.name])
        if step.name == RANKING or not has_ended or has_more_models(chain, step, known):
            if not _is_ready(folder):
                shutil.rmtree(folder, ignore_errors=True)
                prepare(chain, step, place)
            yield f"{step.name}: {num_runs} to run"
            _run(folder, step.job)
        known[step.name] = look(find_runs([folder], chain.path), None)
        states[step.name] = [status.state for status in known[step.name]]
        yield f"{step.name}: {_counted(states[step.name])}"


def _is_ready(folder: Path) -> bool:
    return (folder / SCRIPT_FILE).is_file()


def _run(folder: Path, job: Job) -> None:
    """Run a stage's script with this hpcdl and this machine's mpirun first on the PATH; its end is in its records."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with (
        open(folder / f"{job.log_prefix}_out.local", "ab") as output,
        open(folder / f"{job.log_prefix}_err.local", "ab") as error,
    ):
        subprocess.run(
            ["bash", str(folder / SCRIPT_FILE)],
            env={**MPI_SETTINGS, **os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=error,
            check=False,
        )


def _counted(states: Sequence[State]) -> str:
    return ", ".join(f"{states.count(state)} {state.value}" for state in dict.fromkeys(states))
