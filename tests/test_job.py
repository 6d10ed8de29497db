"""Job files: what is read, what is refused and in which words."""

import pytest

from hpcdl.errors import JobFileError
from hpcdl.job import Job, load_job, parse_changes

GOOD = """\
name: train_mnist
resources: {nodes: 2, ranks_per_node: 4, gpus_per_node: 4, time: "1-02:03:04"}
train:
  model: mnist_cnn
  data: mnist
  epochs: 20
  batch_size: 128
expect: {test_accuracy: ">= 0.99"}
"""


@pytest.fixture
def load(tmp_path):
    """Return a function that reads a job file of the given text and returns the job, or raises."""

    def read(text: str, overrides=None):
        path = tmp_path / "job.yaml"
        path.write_text(text)
        return load_job(path, overrides)

    return read


def test_a_good_file_says_what_it_says(load):
    job = load(GOOD)
    assert job.resources.ranks == 8
    assert job.resources.time_s == 26 * 3600 + 3 * 60 + 4
    assert job.train.optimizer.name == "adam"
    assert job.train.precision == "float32"


def test_times_are_text_as_in_yaml_1_2(load):
    """YAML 1.1 would read this as the number 3600."""
    assert load(GOOD.replace('"1-02:03:04"', "01:00:00")).resources.time_s == 3600


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("batch_size: 128", "batchsize: 128", ":7: train.batchsize: unknown key. Did you mean 'batch_size'?"),
        ("epochs: 20", "epochs: 0", ":6: train.epochs: 0 is not allowed; it must be greater than or equal to 1."),
        ("epochs: 20", "epochs: many", ":6: train.epochs: 'many' is not allowed; it must be a valid integer."),
        ("epochs: 20", "epochs: 2.5", ":6: train.epochs: 2.5 is not allowed; it must be a valid integer."),
        ("  model: mnist_cnn\n", "", ":3: train.model: missing. Add it."),
        ('"1-02:03:04"', '"24:00"', ":2: resources.time: '24:00' is no time limit; write HH:MM:SS or D-HH:MM:SS"),
        ('"1-02:03:04"', '"00:00:00"', ":2: resources.time: '00:00:00' is no time limit"),
        ("data: mnist", "data: mnist\n  precision: bfloat", "'bfloat' is not allowed"),
        ("data: mnist", "data: mnist\n  optimizer: {name: adam, momentum: 0.9}", "adam has no argument 'momentum'"),
        ("batch_size: 128", "batch_size: 128\n  micro_batches: 3", "batch_size 128 cannot be cut into 3 equal"),
        ('">= 0.99"', '"about 0.99"', ":8: expect: test_accuracy: 'about 0.99' is no comparison"),
        ("name: train_mnist", 'name: "a b; rm"', ":1: name: 'a b; rm' is not allowed"),
        ("name: train_mnist", "name: [", "not valid YAML"),
        ("name: train_mnist", "name: x\nname: y", ":2: not valid YAML: found duplicate key"),
        (GOOD, "", "expected `key: value` lines, found nothing"),
        (GOOD, "- 1\n", "expected `key: value` lines"),
    ],
)
def test_a_wrong_file_is_refused_with_line_key_and_what_is_allowed(load, tmp_path, old, new, message):
    assert old in GOOD
    with pytest.raises(JobFileError) as error:
        load(GOOD.replace(old, new))
    assert str(error.value).startswith(str(tmp_path / "job.yaml"))
    assert message in str(error.value)


def test_every_fault_of_a_file_is_told_at_once(load):
    with pytest.raises(JobFileError) as error:
        load(GOOD.replace("epochs: 20", "epochs: 0").replace("nodes: 2", "nodes: two"))
    assert len(str(error.value).splitlines()) == 2


@pytest.mark.parametrize("content", [b"\xff\xfe name", b"\0" * 100])
def test_a_file_that_is_no_text_is_one_sentence(tmp_path, content):
    (tmp_path / "job.yaml").write_bytes(content)
    with pytest.raises(JobFileError, match=r"job\.yaml.*: not "):
        load_job(tmp_path / "job.yaml")


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_a_path_that_cannot_be_read_is_one_sentence(tmp_path, name):
    with pytest.raises(JobFileError, match="cannot be read"):
        load_job(tmp_path / name)


def test_set_replaces_values_and_is_checked_like_the_file(load):
    job = load(GOOD, parse_changes(["train.epochs=1", "train.optimizer.name=sgd", "resources.time=00:10:00"]))
    assert (job.train.epochs, job.train.optimizer.name, job.resources.time_s) == (1, "sgd", 600)
    with pytest.raises(JobFileError, match=r"train\.epoch: unknown key\. Did you mean 'epochs'"):
        load(GOOD, parse_changes(["train.epoch=1"]))
    with pytest.raises(JobFileError, match="write KEY=VALUE"):
        parse_changes(["train.epochs"])
    with pytest.raises(JobFileError, match="'name' is a single value"):
        load(GOOD, parse_changes(["name.first=1"]))


def test_set_gives_arguments_to_a_model_that_stands_there_by_its_name_alone(load):
    job = load(GOOD, parse_changes(["train.model.filters=8", "train.data.in_memory=true"]))
    assert job.train.model.arguments == {"filters": 8}
    assert (job.train.data.name, job.train.data.in_memory) == ("mnist", True)


def test_the_digest_is_of_what_the_job_says_not_of_how_it_is_written(load):
    same = GOOD.replace("epochs: 20", "epochs: 20    # a comment").replace("data: mnist", 'data: "mnist"')
    assert load(same).digest == load(GOOD).digest
    assert load(GOOD.replace("epochs: 20", "epochs: 21")).digest != load(GOOD).digest


def test_expectations_are_met_or_told(load):
    job = load(GOOD)
    assert job.unmet({"test_accuracy": 0.99}) == []
    assert job.unmet({"test_accuracy": 0.98}) == ["test_accuracy is 0.98, expected >= 0.99"]
    assert job.unmet({}) == ["test_accuracy is None, expected >= 0.99"]


TRAIN = "train: {model: mnist_cnn, data: mnist, epochs: 1, batch_size: 8}\n"


def test_gpus_of_a_rank_are_the_node_s_gpus(load):
    text = "name: x\nresources: {ranks_per_node: 4, gpus_per_rank: 2, time: '01:00:00'}\n" + TRAIN
    assert load(text).resources.gpus_per_node == 8


def test_a_job_says_the_same_after_it_was_written_and_read_again(load):
    text = "name: x\nresources: {ranks_per_node: 4, gpus_per_rank: 2, time: '01:00:00'}\ncommand: python 'a b.py'\n"
    once = load(text)
    again = Job.model_validate(once.model_dump(mode="json", exclude_none=True))
    assert again == once
    assert again.digest == once.digest


@pytest.mark.parametrize("command", ["python 'my train.py' --lr 0.1", ["python", "my train.py", "--lr", "0.1"]])
def test_a_command_is_a_text_or_its_words(command):
    read = Job.model_validate({"name": "x", "resources": {"time": "01:00:00"}, "command": command})
    assert read.command == ["python", "my train.py", "--lr", "0.1"]
    assert read.log_prefix == "x"


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("", "either a `train:` section or a `command:`; this file has neither"),
        (TRAIN + "command: python train.py\n", "this file has both"),
        ("command: ''\n", r":3: command: the command is empty"),
        ('command: "python \'train.py"\n', r":3: command: .* cannot be cut into words \(No closing quotation\)"),
        ("command: [python, 3]\n", r":3: command\.1: 3 is not allowed; it must be a valid string"),
        ("command: x\nenv: {'1A': b}\n", r":4: env\.1A: '1A' is not allowed"),
    ],
)
def test_a_job_runs_one_thing(lines, sentence, load):
    with pytest.raises(JobFileError, match=sentence):
        load("name: x\nresources: {time: '01:00:00'}\n" + lines)


def test_gpus_per_rank_and_per_node_must_agree(load):
    resources = "{ranks_per_node: 4, gpus_per_rank: 1, gpus_per_node: 3, time: '01:00:00'}"
    with pytest.raises(
        JobFileError, match=r":2: resources: gpus_per_node is 3, but 4 ranks with gpus_per_rank 1 are 4"
    ):
        load(f"name: x\nresources: {resources}\n{TRAIN}")


def test_a_command_cannot_be_trained(load):
    with pytest.raises(JobFileError, match="has a `command:` and no `train:` section"):
        _ = load("name: x\nresources: {time: '01:00:00'}\ncommand: x\n").training
