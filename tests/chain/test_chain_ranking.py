"""The ranking: the order, what is kept, and a line with its reason for whoever has no value."""

import json
from pathlib import Path

import pytest
from chains import INFER, RESOURCES, TRAIN, attempt, begun, stage
from run_folders import make_run
from typer.testing import CliRunner

from hpcdl.chain.chainfile import Ranking
from hpcdl.chain.folder import ChainFolder
from hpcdl.chain.ranking import REMOVED, Model, discard, rank, read_models, table
from hpcdl.cli import app
from hpcdl.collector.formats import writer
from hpcdl.run.states import State


def asked(**more: object) -> Ranking:
    return Ranking.model_validate({"by": "accuracy", "resources": RESOURCES, **more})


def model(run: str, value: float | None, folder: Path = Path()) -> Model:
    return Model(run, folder, {"rate": 1}, value, 3.0, 1.0, State.COMPLETED, None if value else "why")


def result(chain: ChainFolder, run: str, code: int = 0, reason: str | None = None, **measures: float) -> None:
    """Write what stage infer has found out about a run."""
    path = chain.stage("infer") / "results" / f"{run}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    known = {"schema": 1, "model": run, "exit_code": code, "time_s": 2.5, "reason": reason, "measures": measures}
    path.write_text(json.dumps(known))


@pytest.mark.parametrize(
    ("best", "keep", "order", "kept"),
    [
        ("highest", 2, ["b", "a", "d", "c"], [True, True, False, None]),
        ("lowest", 1, ["d", "a", "b", "c"], [True, False, False, None]),
        ("highest", None, ["b", "a", "d", "c"], [True, True, True, None]),
    ],
)
def test_the_best_are_first_and_kept_and_those_without_a_value_last(best, keep, order, kept):
    models = [model("a", 0.5), model("b", 0.7), model("c", None), model("d", 0.3)]
    ranked = rank(models, asked(best=best, keep=keep))
    assert [item.run for item in ranked] == order
    assert [item.kept for item in ranked] == kept
    assert [item.rank for item in ranked] == [1, 2, 3, None]


def test_equals_stay_in_the_order_of_the_file():
    assert [item.run for item in rank([model(name, 0.5) for name in "cab"], asked())] == ["c", "a", "b"]


def test_every_model_is_told_of_with_its_reason(tmp_path):
    chain = begun(tmp_path, stage("train", sweep={"rate": [1, 2, 3, 4, 5, 6]}), INFER)
    for index, code in enumerate([0, 3, 0, 0, 0, None]):
        attempt(chain, f"train/{index}", code)
    result(chain, "train/0", accuracy=0.25)
    result(chain, "train/2", 2, "the file is torn")
    result(chain, "train/3", loss=0.5)
    attempt(chain, "infer", 9)
    found = {item.run: item for item in read_models(chain, None)}
    values = {run: (item.state.value, item.value, item.reason) for run, item in found.items()}
    assert values["train/0"] == ("COMPLETED", 0.25, None)
    assert values["train/1"][:2] == ("FAILED", None)
    assert "exit code 3" in str(values["train/1"][2])
    assert values["train/2"] == ("FAILED", None, "infer: the file is torn")
    assert values["train/3"] == ("COMPLETED", None, "infer tells no accuracy; it tells loss")
    assert values["train/4"][:2] == ("FAILED", None)
    assert str(values["train/4"][2]).startswith("infer has not dealt with it, and is FAILED: ")
    assert values["train/5"][:2] == ("UNKNOWN", None)
    first = found["train/0"]
    assert (first.point, first.training_s, first.inference_s) == ({"rate": 1}, 7.0, 2.5)


def test_a_value_that_is_no_number_is_no_value(tmp_path):
    chain = begun(tmp_path, TRAIN, INFER)
    attempt(chain, "train/0", 0)
    result(chain, "train/0", accuracy=float("nan"))
    first = read_models(chain, None)[0]
    assert (first.value, first.reason) == (None, "infer tells accuracy nan, which is no finite number")


def test_without_inference_the_trainings_own_results_count(tmp_path):
    train = {"name": "learn", "job": {"resources": RESOURCES, "train": {"model": "mlp", "data": "digits"} | EPOCHS}}
    chain = begun(tmp_path, train, ranking={"by": "test_accuracy"})
    (chain.stage("learn") / "record.json").unlink()
    chain.stage("learn").rmdir()
    make_run(chain.path, "learn", accuracy=0.75)
    (found,) = read_models(chain, None)
    assert (found.run, found.value, found.state) == ("learn", 0.75, State.COMPLETED)


EPOCHS = {"epochs": 1, "batch_size": 32}


def test_the_table_is_that_of_the_golden_file(golden):
    dead = Model("train/3", Path(), {"rate": 4}, None, 1.0, None, State.TIMEOUT, "ended by Slurm at the time limit")
    models = [model("train/0", 0.98765), model("train/1", 0.5), model("train/2", 0.75), dead]
    made = table(rank(models, asked(keep=2)), asked(keep=2))
    golden("ranking.txt", writer("table")(made))  # type: ignore[arg-type]
    golden("ranking.csv", writer("csv")(made))  # type: ignore[arg-type]


def test_only_what_is_ranked_and_not_kept_is_removed(tmp_path):
    models = []
    for name, value in (("a", 0.9), ("b", 0.1), ("c", None)):
        folder = tmp_path / name
        (folder / "checkpoints").mkdir(parents=True)
        for file in ("checkpoints/step.npz", "model.keras", "metrics.jsonl"):
            (folder / file).touch()
        models.append(model(name, value, folder))
    removed = list(discard(rank(models, asked(keep=1))))
    assert removed == [tmp_path / "b" / "checkpoints", tmp_path / "b" / "model.keras"]
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["metrics.jsonl"]
    assert all((tmp_path / name / "model.keras").exists() for name in "ac")


def test_the_names_of_what_is_removed_are_the_trainers():
    checkpoint = pytest.importorskip("hpcdl.train.checkpoint", reason="needs the trainer's environment")
    assert REMOVED == (checkpoint.FOLDER, checkpoint.MODEL_FILE, checkpoint.BEST_MODEL_FILE)


def test_the_command_prints_the_ranking_as_it_stands(tmp_path):
    chain = begun(tmp_path, TRAIN, INFER)
    attempt(chain, "train/1", 0)
    result(chain, "train/1", accuracy=0.5)
    shown = CliRunner().invoke(app, ["chain", str(chain.path), "--format", "json"])
    assert shown.exit_code == 0, shown.output
    assert [(row["rank"], row["run"]) for row in json.loads(shown.stdout)] == [
        (1, "train/1"),
        (None, "train/0"),
        (None, "train/2"),
    ]
    assert not (chain.path / "ranking.json").exists(), "only the last component writes it"


def test_status_finds_all_runs_of_a_chain(tmp_path):
    chain = begun(tmp_path, TRAIN, INFER)
    for place in (chain.path, tmp_path / "runs"):
        shown = CliRunner().invoke(app, ["status", "--offline", "--json", str(place)])
        names = [status["run"].partition("/")[2] for status in json.loads(shown.stdout)]
        assert sorted(names) == ["infer", "train/0", "train/1", "train/2"]
