"""What docs/transfer.md shows are jobs that hpcdl takes, and the commands there are its own."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from hpcdl.job import load_job
from hpcdl.points import load_points
from hpcdl.training import Training

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "transfer.md").read_text()
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_examples_are_jobs(block, tmp_path):
    if block.startswith("train:"):
        Training.model_validate(YAML(typ="safe").load(block)["train"])
        return
    (tmp_path / "job.yaml").write_text(block)
    assert load_job(tmp_path / "job.yaml").training.transfer


def test_the_three_ways_are_those_that_the_jobs_of_the_table_train():
    ways = [YAML(typ="safe").load(block)["train"]["transfer"] for block in BLOCKS[:3]]
    assert [sorted(way) for way in ways] == [["weights"], ["unfreeze", "weights"], ["trainable", "weights"]]
    points = load_points(ROOT / "jobs" / "transfer.yaml")
    assert len(points) == 4 * 5, "from scratch and three ways, five seeds each"
    assert len({str({k: v for k, v in point.items() if "seed" not in k}) for point in points}) == 4


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"train.transfer.trainable": "all", "train.transfer.unfreeze": [{"epoch": 1, "layers": ["x"]}]},
            "nothing to unf",
        ),
        (
            {"train.transfer.unfreeze": [{"epoch": e, "layers": ["x"]} for e in (3, 2)]},
            r"the epochs \[3, 2\] do not rise",
        ),
        (
            {"train.transfer.unfreeze": [{"epoch": 31, "layers": ["x"]}]},
            "epoch 31 never comes; the training has 30 epochs",
        ),
        ({"train.transfer.unfreeze": [{"epoch": 1, "layers": []}]}, "layers"),
        ({"train.transfer.cache": True, "train.augment.flip": True}, "augment and mirrored change the inputs"),
        ({"train.small_images": {"size": 24, "epochs": 9}}, "small_images: frozen layers .* see images of one size"),
        ({"train.transfer.cache": True, "train.transfer.trainable": "all"}, "only where nothing but the last layer"),
        ({"train.transfer.trainable": "some"}, "'some' is not allowed"),
        (
            {"train.transfer": None, "train.model": "pretrained"},
            "pretrained is the network of transfer.weights, and needs",
        ),
        (
            {"train.model": "pretrained", "train.transfer.weights": "a.weights.h5"},
            "a file of weights alone needs the name",
        ),
        ({"train.model": {"name": "pretrained", "depth": 3}}, "pretrained takes no arguments"),
        ({"train.data.classes": ["dog"]}, "classes"),
    ],
)
def test_what_makes_no_sense_is_refused_where_the_file_is_read(change, sentence, tmp_path):
    from hpcdl.errors import JobFileError

    (tmp_path / "job.yaml").write_text(BLOCKS[0])
    with pytest.raises(JobFileError, match=sentence):
        load_job(tmp_path / "job.yaml", change)
