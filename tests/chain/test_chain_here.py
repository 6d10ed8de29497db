"""A whole chain on this machine, without a queue: real scripts, real commands, one model that dies."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from chains import chain_file, stage

pytestmark = pytest.mark.mpi
MEASURE = """bash -c 'echo "{\\"accuracy\\": 0.$(cat $0/rate)}" >$1/measures.json' {model} {results}"""
TRAIN = """bash -c 'test {rate} != 7 || { echo out of ideas >&2; exit 3; }; echo {rate} >$HPCDL_RUN_FOLDER/rate'"""


def test_all_stages_run_one_after_the_other_and_once(tmp_path):
    chain_file(
        tmp_path,
        stage("infer", MEASURE, after={"train": "each"}),
        stage("train", TRAIN, sweep={"rate": [5, 7, 8]}),
        stage("publish", "touch published", after={"train": "all"}),
        stage("some", "touch some", after={"train": "any"}),
        ranking={"keep": 1},
    )

    def start() -> str:
        words = [sys.executable, "-m", "hpcdl", "chain", "chain.yaml", "--site", "local"]
        done = subprocess.run(words, cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = start()
    (folder,) = (tmp_path / "runs").glob("some-*")
    for line in (
        "train: 2 COMPLETED, 1 FAILED",
        "publish: not started, as what it waits for can never be",
        "some: 1 COMPLETED",
        "ranking: 1 COMPLETED",
        "train/1: FAILED: ended with exit code 3",
    ):
        assert line in said
    assert not (tmp_path / "published").exists()
    ranked = [("train/2", 8, 0.8, "yes"), ("train/0", 5, 0.5, "no"), ("train/1", 7, None, None)]

    def ranking() -> list[tuple]:
        rows = json.loads((folder / "ranking.json").read_text())
        return [(row["run"], row["sweep.rate"], row["accuracy"], row["kept"]) for row in rows]

    assert ranking() == ranked

    def attempts() -> set[Path]:
        return set(folder.glob("*/attempts/*")) | set(folder.glob("train/*/attempts/*"))

    before = {path for path in attempts() if path.parts[-3] != "ranking"}
    assert start().splitlines()[-4:] == said.splitlines()[-4:]
    assert {path for path in attempts() if path.parts[-3] != "ranking"} == before
    assert list((tmp_path / "runs").glob("some-*")) == [folder]

    (folder / "infer" / "results" / "train" / "2.json").unlink()  # as if it had ended too early
    (folder / "ranking.json").unlink()
    start()
    assert ranking() == ranked
    assert len(list((folder / "infer" / "attempts").glob("*.exit.json"))) == 2
    assert len(list((folder / "train" / "2" / "attempts").glob("*.exit.json"))) == 1
