"""`hpcdl predict` as a person calls it: its table, where its numbers come from, what it warns of and refuses."""

import json
import re
import sys
from pathlib import Path

import pytest
from run_folders import make_run
from typer.testing import CliRunner

from hpcdl import runlog
from hpcdl.cli import app
from hpcdl.errors import HpcdlError, JobFileError, SiteError
from hpcdl.scaling.table import COLUMNS

GOLDEN = Path(__file__).parent / "golden" / "predict-vgg16.md"
PAGE = (Path(__file__).parent.parent / "docs" / "scaling.md").read_text()
VGG16, PRINTED = re.search(r"```yaml\n(.*?)```.*?```text\n(.*?)```", PAGE, re.DOTALL).groups()
MLP = """\
name: mlp
resources: {nodes: 1, ranks_per_node: 2, cores_per_rank: 4, time: "00:10:00"}
train: {model: mlp, data: {name: synthetic, num_train: 10000}, epochs: 4, batch_size: 50, validation_split: 0.2}
"""
SITE = """\
name: plain
title: A site
scheduler: slurm
network: {gb_per_s: 2, latency_us: 10, inner_gb_per_s: 4, source: a manual, as_of: "2026-01"}
"""


def predict(*arguments):
    ran = CliRunner().invoke(app, ["predict", *map(str, arguments)])
    if ran.exception:
        raise ran.exception
    return ran.stdout


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name, text in {"vgg16": VGG16, "mlp": MLP, "plain": SITE}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def rows(*arguments):
    return json.loads(predict(*arguments, "--format", "json"))


def run_of(folder, name, ranks, images_per_s, **changes):
    """Make a run of mlp.yaml that measured so many images/s."""
    train = {
        **{"model": "mlp", "data": {"name": "synthetic", "num_train": 10000}, "epochs": 4, "batch_size": 50},
        **{"validation_split": 0.2, **changes},
    }
    made = make_run(folder / "runs", name, job="mlp", ranks=ranks, images_per_s=images_per_s, train=train)
    start = runlog.format_event("run_start", ranks=ranks, parameters=1000, train_images=8000, rank_map=[])
    (made / runlog.METRICS_FILE).write_text(
        start + "\n" + runlog.format_event("run_end", status="success", images_per_s=images_per_s) + "\n"
    )
    return made


def test_the_table_of_a_job_on_512_gpus(folder):
    """To make it anew: run with the same options and -o tests/golden/predict-vgg16.md."""
    options = ["vgg16.yaml", "--site", "juwels-booster", "--images-per-second", 154, "--nodes", "1,2,16,128,512"]
    predict(*options, "-o", "table.md")
    assert (folder / "table.md").read_text() == GOLDEN.read_text()


def test_the_page_shows_what_the_command_prints(folder):
    options = ["vgg16.yaml", "--site", "juwels-booster", "--images-per-second", 154]
    assert predict(*options, "--nodes", "1,2,16,128") == PRINTED


def test_the_columns_are_the_documented_ones(folder):
    (row,) = rows("vgg16.yaml", "--site", "juwels-booster", "--images-per-second", 154, "--nodes", 1)
    brackets = {"images_per_s", "efficiency", "time_s", "allreduce", "hours"}
    named = [f"{name}_{end}" for name in COLUMNS for end in ("least", "most") if name in brackets]
    plain = [name for name in COLUMNS if name not in brackets]
    assert sorted(row) == sorted(name.replace("hours", "gpu_hours") for name in [*named, *plain])
    assert dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", PAGE, re.MULTILINE)) == COLUMNS


def test_each_number_by_hand(folder):
    """101,770 parameters; 50 inputs at 5,000/s are 10 ms; 2 nodes of 2 ranks; 8,000 inputs make 40 steps of 200."""
    (row,) = rows("mlp.yaml", "--site", "./plain.yaml", "--images-per-second", 5000, "--nodes", 2)
    size = 4 * 101_770
    most = 0.01  # the allreduce, 2 x 1/2 of the bytes at 2 GB/s, is hidden
    least = 0.01 + 0.001 + 1.5 * size / 2e9 + 2 * 3 * 10e-6
    assert (row["ranks"], row["global_batch_size"], row["steps"]) == (4, 200, 40 * 4)
    assert row["images_per_s_most"] == pytest.approx(200 / most)
    assert row["images_per_s_least"] == pytest.approx(200 / least)
    assert row["efficiency_least"] == pytest.approx(0.01 / least)
    assert row["allreduce_most"] == pytest.approx(1 - 0.01 / least)
    assert row["time_s_most"] == pytest.approx(160 * least)
    assert row["core_hours_most"] == pytest.approx(160 * least * 2 * 8 / 3600)
    assert row["measured_images_per_s"] is None


def test_float16_on_the_wire_halves_the_bytes(folder):
    options = ["mlp.yaml", "--site", "./plain.yaml", "--images-per-second", 5000, "--nodes", 2]
    whole, half = predict(*options), predict(*options, "--set", "train.horovod.wire=float16")
    assert "101,770 x float32 = 0.4071 MB" in whole
    assert "101,770 x float16 = 0.2035 MB" in half


def test_gradients_larger_than_the_fusion_buffer_take_more_messages(folder):
    options = ["mlp.yaml", "--site", "./plain.yaml", "--images-per-second", 5000, "--nodes", 2]
    one = rows(*options)[0]["time_s_most"]
    four = rows(*options, "--set", "train.horovod.fusion_threshold_mib=0.1")[0]["time_s_most"]
    assert four - one == pytest.approx(160 * 3 * (2 * 3 * 10e-6))


def test_a_measured_run_tells_speed_parameters_and_inputs(folder):
    run_of(folder, "one", 1, 4000.0)
    (row,) = rows("mlp.yaml", "--site", "./plain.yaml", "--measured", "runs/one", "--nodes", 1)
    assert row["images_per_s_most"] == 8000.0
    assert row["steps"] == 8000 // 100 * 4
    printed = predict("mlp.yaml", "--site", "./plain.yaml", "--measured", "runs/one", "--nodes", 1)
    assert "compute: 4,000 images/s of one rank, measured (runs/one)" in printed
    assert "gradients: 1,000 x float32 = 0.004 MB" in printed


def test_runs_on_more_ranks_stand_beside_the_prediction(folder):
    run_of(folder, "one", 1, 4000.0)
    run_of(folder, "two", 2, 7500.0)
    both = ["--measured", "runs/two", "--measured", "runs/one"]
    one, two = rows("mlp.yaml", "--site", "./plain.yaml", *both, "--nodes", "1,2")
    assert (one["measured_images_per_s"], two["measured_images_per_s"]) == (7500.0, None)
    assert one["images_per_s_most"] == 8000.0
    assert "7,500" in predict("mlp.yaml", "--site", "./plain.yaml", *both, "--nodes", "1,2")


def test_only_a_run_on_many_ranks_says_that_its_allreduce_counts_as_computing(folder):
    run_of(folder, "two", 2, 7500.0)
    printed = predict("mlp.yaml", "--site", "./plain.yaml", "--measured", "runs/two", "--nodes", 1)
    assert "3,750 images/s of one rank, measured (runs/two; the allreduce of its 2 ranks counts here" in printed


def test_an_estimate_says_that_it_is_one(folder):
    """A quarter of 156 TFLOP/s, 6 operations for each of 15.47e9 multiply-adds."""
    printed = predict("vgg16.yaml", "--site", "juwels-booster", "--nodes", 1)
    assert "ESTIMATE, nothing was measured: 420.2 images/s of one rank, 25% of the 156 TFLOP/s of A100 40 GB" in printed


def test_an_unknown_latency_is_told_with_its_source(folder):
    options = ["mlp.yaml", "--site", "local", "--bandwidth", 1, "--images-per-second", 10, "--nodes", 2]
    assert "2.7 to 14 us a message (not known; NCCL's own model)" in predict(*options)
    assert "1 GB/s of a node (--bandwidth), inside a node not known, 5 us a message" in predict(
        *options, "--latency", 5
    )


def test_the_partition_s_network_comes_before_the_site_s(folder):
    (folder / "plain.yaml").write_text(
        SITE + "partitions:\n  fast: {kind: cpu, network: {gb_per_s: 50, source: a page, as_of: '2026'}}\n"
    )
    assert "50 GB/s of a node (a page, as of 2026)" in predict(
        "mlp.yaml", "--site", "./plain.yaml", "--images-per-second", 10, "--nodes", 2
    )


def test_options_come_before_the_profile(folder):
    options = ["mlp.yaml", "--site", "./plain.yaml", "--images-per-second", 10, "--nodes", 2]
    assert "network: 2 GB/s of a node (a manual, as of 2026-01), 4 GB/s inside a node, 10 us a message" in predict(
        *options
    )
    given = ["--bandwidth", 3, "--latency", 5, "--node-bandwidth", 7]
    assert "network: 3 GB/s of a node (--bandwidth), 7 GB/s inside a node, 5 us a message" in predict(*options, *given)


def test_one_node_needs_no_network(folder):
    options = ["mlp.yaml", "--site", "local", "--images-per-second", 5000, "--node-bandwidth", 4, "--nodes"]
    assert "network: 4 GB/s inside the node, 2.7 to 14 us" in predict(*options, 1)
    with pytest.raises(SiteError, match="does not say how fast its network is"):
        predict(*options, "1,2")


def test_a_time_limit_within_the_bracket_is_told(folder):
    """200 steps of 10 ms are 2 s at best, 2.3 s at worst."""
    options = ["mlp.yaml", "--site", "./plain.yaml", "--images-per-second", 5000, "--nodes", 2]
    options += ["--set", "train.epochs=5", "--set"]
    (row,) = rows(*options, "resources.time=00:00:02")
    assert row["time_s_least"] == pytest.approx(2)
    assert 2 < row["time_s_most"] < 3
    assert "on 2 nodes the job may need more" in predict(*options, "resources.time=00:00:02")
    assert "may need more" not in predict(*options, "resources.time=00:00:03")


def test_warnings_for_the_recipe_the_data_the_limits(folder):
    printed = predict("mlp.yaml", "--site", "./plain.yaml", "--images-per-second", 5, "--nodes", "1,2,64,128")
    assert "from 2 nodes on a step takes 200 inputs and more, but the recipe is for 100" in printed
    assert "from 128 nodes on one step takes more inputs (12,800) than an epoch has" in printed
    assert "on 1, 2 nodes the job may need more than its resources.time, 00:10:00" in printed
    row = rows("mlp.yaml", "--site", "./plain.yaml", "--images-per-second", 5, "--nodes", "128")[0]
    assert (row["steps"], row["time_s_least"], row["core_hours_least"]) == (0, None, None)
    quiet = predict("mlp.yaml", "--site", "./plain.yaml", "--images-per-second", 5000, "--nodes", "1")
    assert "warning" not in quiet


def test_numbers_of_nodes_beyond_the_partition_are_told_and_predicted(folder):
    printed = predict("vgg16.yaml", "--site", "juwels-booster", "--images-per-second", 154, "--nodes", "1,512")
    assert "warning: resources.nodes: 512, but partition booster of site juwels-booster gives at most 384" in printed
    assert printed.count("\n  512") == 1
    with pytest.raises(SiteError, match="gives at most 384"):
        predict("vgg16.yaml", "--site", "juwels-booster", "--images-per-second", 154, "--nodes", "512")


def test_without_numbers_of_nodes_it_goes_to_512_ranks(folder):
    found = rows("vgg16.yaml", "--site", "juwels-booster", "--images-per-second", 154)
    assert [row["nodes"] for row in found] == [1, 2, 4, 8, 16, 32, 64, 128]
    assert found[-1]["ranks"] == 512


def test_whole_nodes_are_paid_where_nodes_are_not_shared(folder):
    options = ["--site", "juwels-booster", "--images-per-second", 154, "--nodes", "1", "--set"]
    (four,) = rows("vgg16.yaml", *options, "resources.gpus_per_node=4")
    (one,) = rows("vgg16.yaml", *options, "resources.gpus_per_node=1")
    assert four["gpu_hours_most"] == one["gpu_hours_most"] == pytest.approx(four["time_s_most"] * 4 / 3600)


def test_plots_are_written(folder):
    run_of(folder, "one", 1, 4000.0)
    run_of(folder, "two", 2, 7500.0)
    both = ["--measured", "runs/two", "--measured", "runs/one"]
    predict("mlp.yaml", "--site", "./plain.yaml", *both, "--nodes", "1,2", "--plots", "figures")
    names = {path.name for path in (folder / "figures").iterdir()}
    assert names == {f"{name}.{suffix}" for name in ("speedup", "efficiency") for suffix in ("png", "svg", "pdf")}


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        (["--nodes", "1,x"], HpcdlError, r"--nodes '1,x' are no numbers of nodes; write .* as 1,2,4"),
        (["--nodes", "0"], HpcdlError, r"--nodes '0' are no numbers"),
        (["--nodes", ""], HpcdlError, r"--nodes '' are no numbers"),
        (["--bandwidth", "0"], HpcdlError, r"--bandwidth 0\.0: give a number above 0"),
        (["--latency", "nan"], HpcdlError, r"--latency nan: give a number above 0"),
        (["--images-per-second", "-1"], HpcdlError, r"--images-per-second -1\.0: give a number above 0"),
        (["--node-bandwidth", "inf"], HpcdlError, r"--node-bandwidth inf: give a number above 0"),
        (
            ["--site", "local"],
            SiteError,
            r"site local: its profile does not say how fast its network is\. Give --bandwid",
        ),
        ([], HpcdlError, r"job mlp: how fast a rank computes on cores cannot be told beforehand\. Give a run"),
        (["--measured", "mlp.yaml"], HpcdlError, r"--measured mlp\.yaml: no run's folder"),
        (["--measured", "runs"], HpcdlError, r"--measured runs: no run's folder"),
        (
            ["--measured", "runs/other"],
            HpcdlError,
            r"--measured runs/other: its train\.batch_size is 64, the job's is 50",
        ),
        (["--measured", "runs/died"], HpcdlError, r"--measured runs/died: this run measured no images/s"),
        (["-o", "table.docx"], HpcdlError, r"-o table\.docx: the suffix \.docx tells no format"),
        (["--set", "train=null", "--set", "command=hostname"], JobFileError, r"job mlp has a `command:`"),
    ],
)
def test_what_cannot_be_predicted_is_one_sentence(options, error, sentence, folder):
    run_of(folder, "other", 1, 4000.0, batch_size=64)
    make_run(folder / "runs", "died", job="mlp", reason="it died", epochs=0)
    site = [] if "--site" in options else ["--site", "./plain.yaml"]
    with pytest.raises(error, match=sentence) as caught:
        predict("mlp.yaml", *site, *options)
    assert "\n" not in str(caught.value)
    assert not (folder / "table.docx").exists()


def test_a_network_that_must_be_built_needs_keras_or_a_run(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "hpcdl.train.models.summary", None)
    options = ["mlp.yaml", "--site", "./plain.yaml", "--nodes", 1, "--set", "train.model={name: mlp, hidden: 64}"]
    with pytest.raises(JobFileError, match=r"the parameters of mlp\(hidden=64\) with inputs of 28x28x1 .* needs Keras"):
        predict(*options, "--images-per-second", 5000)
    run_of(folder, "one", 1, 4000.0, model={"name": "mlp", "hidden": 64})
    assert "gradients: 1,000 x float32" in predict(*options, "--measured", "runs/one")


def test_a_gpu_without_a_known_peak_needs_a_measurement(folder):
    (folder / "plain.yaml").write_text(
        SITE + "gpu: {request: gres, model: RTX 4090, source: a manual, as_of: '2026'}\n"
    )
    with pytest.raises(HpcdlError, match=r"hpcdl does not know the peak of RTX 4090 in float32.* Give a run"):
        predict("vgg16.yaml", "--site", "./plain.yaml", "--nodes", 1)
