"""The main job as a user runs it: `hpcdl run`, then `hpcdl collect`, on the digits that need no download."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from hpcdl import runlog
from hpcdl.train.data import load_dataset
from hpcdl.train.evaluate import scale_pixels

pytestmark = [pytest.mark.mpi, pytest.mark.slow]

JOB = Path(__file__).parents[2] / "jobs" / "mnist.yaml"
SHORT = ["--set", "train.data=digits", "--set", "train.epochs=3", "--set", "train.validation_split=0.2"]
SHORT += ["--set", "train.batch_size=32", "--set", "train.precision=float32", "--set", "expect={}"]


def hpcdl(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hpcdl", *map(str, arguments)]
    environment = {**os.environ, **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One finished run on two ranks: what was printed, and its folder."""
    runs = tmp_path_factory.mktemp("runs")
    ended = hpcdl("run", JOB, "-n", 2, "--runs", runs, *SHORT)
    assert ended.returncode == 0, ended.stderr
    return ended, next(runs.iterdir())


def test_the_log_reads_like_keras_and_ends_like_the_lectures(finished):
    ended, folder = finished
    log = next(folder.glob("digits_out.*")).read_text().splitlines()
    assert ended.stdout.splitlines() == [f"Run {folder}", *log], "what a person sees is what the log holds"
    assert "1437 train samples" in log
    assert [line for line in log if line.startswith("Epoch ")] == ["Epoch 1/3", "Epoch 2/3", "Epoch 3/3"]
    epochs = [runlog.parse_epoch(line) for line in log if runlog.parse_epoch(line)]
    assert [set(epoch) for epoch in epochs] == [
        {"step", "steps", "epoch_s", "accuracy", "loss", "val_accuracy", "val_loss"}
    ] * 3
    assert log[-2].startswith("Test score: ")
    assert log[-1].startswith("Test accuracy: ")


def test_nothing_but_real_errors_reaches_the_error_log(finished):
    assert next(finished[1].glob("digits_err.*")).read_text() == ""


def test_metrics_and_record_say_the_same_as_the_log(finished):
    _, folder = finished
    events, broken = runlog.read_events((folder / runlog.METRICS_FILE).read_text().splitlines())
    assert broken == 0
    by_kind = {event["event"]: event for event in events}
    log = next(folder.glob("digits_out.*")).read_text().splitlines()
    assert log[-1] == f"Test accuracy: {by_kind['test']['test_accuracy']}"
    assert by_kind["run_end"]["status"] == "success"
    assert len(by_kind["run_end"]["images_per_s_per_rank"]) == 2
    assert by_kind["run_start"]["global_batch_size"] == 64
    record = json.loads((folder / "record.json").read_text())
    assert (record["status"], record["exit_code"], record["ranks"]) == ("success", 0, 2)
    assert [entry["rank"] for entry in record["rank_map"]] == [0, 1]
    assert record["versions"]["horovod"] == "0.28.1"
    stops = [runlog.parse_mllog(line) for line in (folder / runlog.MLLOG_FILE).read_text().splitlines()]
    assert stops[-1]["key"] == "run_stop"
    assert stops[-1]["metadata"] == {"status": "success"}


def test_the_saved_model_loads_in_plain_keras_and_has_the_reported_accuracy(finished):
    _, folder = finished
    program = "import sys, keras; keras.models.load_model(sys.argv[1]); print('hpcdl' in sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", program, str(folder / "model.keras")], capture_output=True, text=True, cwd=folder
    )
    assert ended.stdout == "False\n", ended.stderr
    data = load_dataset("digits")
    model = keras.models.load_model(folder / "model.keras")
    predicted = model.predict(scale_pixels(data.test_inputs), verbose=0).argmax(axis=1)
    events, _ = runlog.read_events((folder / runlog.METRICS_FILE).read_text().splitlines())
    reported = next(event for event in events if event["event"] == "test")["test_accuracy"]
    assert reported == pytest.approx(np.mean(predicted == data.test_targets), abs=1e-9)
    assert reported > 0.8


def test_collect_prints_the_row_of_the_run(finished):
    _, folder = finished
    (row,) = json.loads(hpcdl("collect", folder.parent, "--format", "json").stdout)
    assert row["run"] == folder.name
    assert (row["outcome"], row["ranks"], row["epochs_done"], row["epochs_planned"]) == ("completed", 2, 3, 3)
    assert row["test_accuracy"] > 0.8
    assert row["images_per_s"] > 0


def test_one_rank_gives_the_same_numbers_with_and_without_horovod(tmp_path):
    (tmp_path / "without" / "horovod").mkdir(parents=True)
    (tmp_path / "without" / "horovod" / "__init__.py").write_text("raise ImportError('taken away by a test')")
    hashes = {}
    for name, path in (("with", []), ("without", [str(tmp_path / "without")])):
        search = os.pathsep.join([*path, *filter(None, [os.environ.get("PYTHONPATH")])])
        ended = hpcdl("run", JOB, "-n", 1, "--runs", tmp_path / name / "runs", *SHORT, PYTHONPATH=search)
        assert ended.returncode == 0, ended.stderr
        metrics = next((tmp_path / name / "runs").glob("*/metrics.jsonl")).read_text().splitlines()
        hashes[name] = runlog.read_events(metrics)[0][-1]["weight_hash"]
    assert hashes["with"] == hashes["without"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_stops_its_ranks_and_is_recorded(tmp_path, number):
    command = [sys.executable, "-m", "hpcdl", "run", str(JOB), "-n", "2", "--runs", str(tmp_path), *SHORT]
    command += ["--set", "train.epochs=1000"]

    def as_at_a_terminal():  # a shell that starts the tests in the background lets them ignore SIGINT
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=as_at_a_terminal
    ) as process:
        for line in process.stdout:
            if line.startswith("Epoch 2/"):
                break
        os.kill(process.pid, number)
        process.communicate(timeout=60)
    assert process.returncode == 130
    record = json.loads(next(tmp_path.glob("*/record.json")).read_text())
    assert record["status"] == "aborted"
    assert record["reason"] == "interrupted"
    (row,) = json.loads(hpcdl("collect", tmp_path, "--format", "json").stdout)
    assert row["outcome"] not in ("completed", "running")
    assert row["test_accuracy"] is None


def test_without_data_and_network_the_digits_serve_and_nobody_can_overlook_it(tmp_path):
    away = {"HPCDL_DATA": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "KERAS_HOME": str(tmp_path)}
    away |= {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}  # no network
    refused = hpcdl("run", JOB, "--runs", tmp_path / "runs", **away)
    assert refused.returncode == 2
    assert "MNIST is not here" in refused.stderr
    assert "hpcdl fetch mnist" in refused.stderr
    assert not (tmp_path / "runs").exists()
    short = [option for option in SHORT if option != "train.data=digits"]
    short.remove("--set")
    ended = hpcdl("run", JOB, "-n", 1, "--runs", tmp_path / "runs", "--fallback-data", "digits", *short, **away)
    assert ended.returncode == 0, ended.stderr
    assert "TRAINING ON 'digits' INSTEAD" in ended.stderr
    assert [folder.name.rpartition("-on-")[0] for folder in (tmp_path / "runs").iterdir()] == ["mnist"]
