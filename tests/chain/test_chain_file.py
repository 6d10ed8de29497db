"""Chain files: what they may say, and one sentence for what they may not."""

from pathlib import Path

import pytest
from chains import INFER, RESOURCES, TRAIN, chain_file, stage
from typer.testing import CliRunner

from hpcdl.chain.chainfile import load_chain
from hpcdl.chain.condition import Met, dependency, judge
from hpcdl.cli import app
from hpcdl.run.states import State

ROOT = Path(__file__).parents[2]
GOOD, BAD, WAITS, RUNS = State.COMPLETED, State.FAILED, State.PENDING, State.RUNNING
TRAINING = {"model": "mlp", "data": "digits", "epochs": 1, "batch_size": 32}


def test_stages_are_put_into_the_order_in_which_they_begin(tmp_path):
    last = stage("last", after={"infer": "all"})
    chain = load_chain(chain_file(tmp_path, last, INFER, TRAIN))
    assert [item.name for item in chain.in_order] == ["train", "infer", "last"]
    assert [item.name for item in chain.model_stages] == ["train"]


def test_a_stage_without_each_leaves_the_trainings_to_the_ranking(tmp_path):
    training = {"name": "learn", "job": {"resources": RESOURCES, "train": TRAINING}}
    chain = load_chain(chain_file(tmp_path, stage("fetch"), training))
    assert [item.name for item in chain.model_stages] == ["learn"]


def test_predict_stands_for_a_command_and_a_job_has_the_names_of_chain_and_stage(tmp_path):
    infer = {"name": "infer", "after": {"train": "each"}, "predict": "some images", "job": {"resources": RESOURCES}}
    job = load_chain(chain_file(tmp_path, TRAIN, infer)).stage("infer").whole
    assert job.command == ["hpcdl", "predict-images", "{model}", "some images", "-o", "{results}/predictions.csv"]
    assert job.name == "some-infer"


def test_a_job_file_is_read_beside_the_chain_file_with_other_values(tmp_path):
    (tmp_path / "job.yaml").write_text('{name: own, resources: {time: "00:10:00"}, command: "true"}')
    other = {"name": "train", "job_file": "job.yaml", "set": {"slurm.partition": "fast", "resources.nodes": 2}}
    job = load_chain(chain_file(tmp_path, other, INFER)).stage("train").whole
    assert (job.name, job.slurm, job.resources.nodes) == ("own", {"partition": "fast"}, 2)


def test_the_chain_that_comes_with_hpcdl_asks_for_two_modules():
    chain = load_chain(ROOT / "jobs" / "chain.yaml")
    train, infer = (chain.stage(name).whole for name in ("train", "infer"))
    assert (train.resources.gpus_per_node, infer.resources.gpus_per_node) == (1, 0)
    assert train.sweep
    assert len(train.sweep.all_points()) == 3


WRONG = {
    "cycle": (
        [TRAIN, INFER, stage("a", after={"b": "all"}), stage("b", after={"a": "all"})],
        "waits for the one before",
    ),
    "itself": ([TRAIN, INFER, stage("a", after={"a": "all"})], "a -> a waits for the one before"),
    "unknown": ([TRAIN, stage("infer", "x {model}", after={"trian": "each"})], "no stage trian. Did you mean 'train'?"),
    "twice": ([TRAIN, TRAIN, INFER], "two are called train"),
    "reserved": ([stage("queue"), TRAIN, INFER], "queue is a name of hpcdl's own"),
    "unfed": (
        [TRAIN, {"name": "infer", "predict": "digits", "job": {"resources": RESOURCES}}],
        "stage infer: predict: takes models from a queue that nobody feeds",
    ),
    "no model": ([TRAIN, stage("infer", after={"train": "each"})], "a job whose command has {model} in it"),
    "array of takers": ([TRAIN, stage("infer", "x {model}", {"a": [1]}, after={"train": "each"})], "one job takes all"),
    "notice": (
        [TRAIN, {**INFER, "job": {**INFER["job"], "on_timeout": {"signal_before": "00:01:00"}}}],
        "goes on with the models that have no result",
    ),
    "taken twice": ([TRAIN, INFER, stage("b", "x {model}", after={"train": "each"})], "taken by stage infer already"),
    "taker of a taker": ([TRAIN, INFER, stage("b", "x {model}", after={"infer": "each"})], "puts none into one"),
    "mixed": (
        [TRAIN, stage("p"), stage("i", "x {model}", after={"train": "each", "p": "all"})],
        "with no other condition",
    ),
    "nothing to rank": ([stage("a")], "there is nothing to rank"),
    "no job": ([{"name": "train"}, INFER], "stage train: give either `job:` or `job_file:`"),
    "set": ([{**TRAIN, "set": {"resources.nodes": 2}}, INFER], "set: is for a job_file"),
    "condition": ([TRAIN, stage("infer", after={"train": "eech"})], "must be 'all', 'any', 'each' or 'ended'"),
    "dependency": (
        [{**TRAIN, "job": {**TRAIN["job"], "slurm": {"dependency": "singleton"}}}, INFER],
        "`after:` says it",
    ),
    "name": ([stage("1st"), TRAIN, INFER], "stages.0.name"),
    "job": ([{**TRAIN, "job": {**TRAIN["job"], "comand": "x"}}, INFER], "Did you mean 'command'?"),
    "no stages": ([], "stages: [] is not allowed"),
}


@pytest.mark.parametrize(("stages", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_chain_file_gets_one_sentence_and_leaves_nothing(stages, said, tmp_path):
    path = chain_file(tmp_path, *stages)
    ended = CliRunner().invoke(app, ["chain", str(path), "--site", "local", "--runs", str(tmp_path / "runs")])
    assert ended.exit_code != 0
    assert said in str(ended.exception)
    assert getattr(ended.exception, "exit_code", None) == 2
    assert str(ended.exception).count("\n") == 0
    assert not list((tmp_path / "runs").glob("some*"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["."], "holds no chain"),
        (["chain.yaml", "more"], "more is too much"),
        (["chain.yaml", "--site", "vsc-ugent"], "takes jobs through qsub"),
        (["partition.yaml", "--site", "jureca"], "stage infer: slurm.partition: bach: not in the profile"),
    ],
)
def test_wrong_words_get_one_sentence(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = {**INFER, "job": {**INFER["job"], "slurm": {"partition": "bach"}}}
    chain_file(tmp_path, TRAIN, other).rename("partition.yaml")
    chain_file(tmp_path, TRAIN, INFER)
    ended = CliRunner().invoke(app, ["chain", *words])
    assert said in str(ended.exception)
    assert getattr(ended.exception, "exit_code", None) == 2
    assert not list(tmp_path.glob("runs/some*"))


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ({"a": "all", "b": "ended"}, "afterok:7_0,afterok:7_1,afterany:8"),
        ({"a": "any"}, "afterok:7_0?afterok:7_1"),
        ({"a": "each", "b": "each"}, "after:7_0?after:7_1?after:8"),
    ],
)
def test_conditions_in_sbatch_s_words(after, words):
    assert dependency(after, {"a": ["7_0", "7_1"], "b": ["8"]}) == words


@pytest.mark.parametrize(
    ("condition", "states", "met"),
    [
        ("all", [GOOD, GOOD], Met.YES),
        ("all", [GOOD, RUNS], Met.OPEN),
        ("all", [RUNS, BAD], Met.NEVER),
        ("any", [WAITS, GOOD], Met.YES),
        ("any", [BAD, RUNS], Met.OPEN),
        ("any", [BAD, BAD], Met.NEVER),
        ("ended", [BAD, GOOD], Met.YES),
        ("ended", [BAD, RUNS], Met.OPEN),
        ("each", [WAITS, WAITS], Met.OPEN),
        ("each", [WAITS, RUNS], Met.YES),
        ("each", [BAD, BAD], Met.YES),
    ],
)
def test_conditions_judged_by_states(condition, states, met):
    assert judge({"a": condition}, {"a": states}) is met


def test_a_stage_that_waits_for_nothing_may_begin():
    assert judge({}, {}) is Met.YES
