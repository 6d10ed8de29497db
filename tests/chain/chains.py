"""Chains whose stages a test lets begin and end as it likes."""

import json
from pathlib import Path
from typing import Any

from hpcdl.chain.chainfile import load_chain
from hpcdl.chain.folder import ChainFolder, make_chain_folder
from hpcdl.run import record
from hpcdl.run.attempts import ATTEMPTS_FOLDER

RESOURCES = {"time": "00:10:00"}
STARTED = {"schema": 1, "restart": 0, "slurm_job_id": None, "host": None, "nodes": None, "ntasks": 1, "cluster": None}


def stage(name: str, command: str = "true", sweep: dict | None = None, **more: Any) -> dict:
    """A stage that runs a command."""
    job = {"resources": RESOURCES, "command": command, **({"sweep": {"grid": sweep}} if sweep else {})}
    return {"name": name, "job": job, **more}


TRAIN = stage("train", sweep={"rate": [1, 2, 3]})
INFER = stage("infer", "test {model} {results}", after={"train": "each"})


def chain_file(folder: Path, *stages: dict, **more: Any) -> Path:
    """Write a chain file."""
    ranking = {"by": "accuracy", "resources": RESOURCES, **more.pop("ranking", {})}
    path = folder / "chain.yaml"
    path.write_text(json.dumps({"name": "some", "stages": list(stages), "ranking": ranking, **more}))
    return path


def begun(folder: Path, *stages: dict, **more: Any) -> ChainFolder:
    """Make a chain's folder with a run folder for each point of each stage; none of them has begun."""
    path = chain_file(folder, *stages, **more)
    chain = make_chain_folder(load_chain(path), path, "local", folder / "runs")
    for item in chain.chain.stages:
        points = item.whole.sweep.all_points() if item.whole.sweep else []
        places = [chain.stage(item.name) / str(index) for index in range(len(points))] or [chain.stage(item.name)]
        for place in places:
            place.mkdir(parents=True)
            record.create(
                place, name=item.whole.name, job=item.whole.model_dump(mode="json"), status="submitted", git=None
            )
        if points:
            record.create(chain.stage(item.name), record.ARRAY_FILE, name=item.whole.name, git=None)
    return chain


def attempt(chain: ChainFolder, run: str, exit_code: int | None) -> None:
    """Let a run begin, and end with an exit code unless it is None; what ends with 0 is in the queue before."""
    known = {**STARTED, "job_id": run.replace("/", "_")}
    files = {"start": {**known, "started": "2026-11-20T12:00:00+00:00"}}
    if exit_code is not None:
        decision = "failed" if exit_code else "finished"
        end = {"ended": "2026-11-20T12:00:07+00:00", "exit_code": exit_code, "signal": None, "reason": None}
        files["exit"] = {**known, **end, "decision": decision}
    if exit_code == 0:
        (chain.queue / run).parent.mkdir(parents=True, exist_ok=True)
        (chain.queue / run).write_text(str(chain.path / run))
    for kind, values in files.items():
        folder = chain.path / run / ATTEMPTS_FOLDER
        folder.mkdir(exist_ok=True)
        (folder / f"{known['job_id']}.0.{kind}.json").write_text(json.dumps(values))
