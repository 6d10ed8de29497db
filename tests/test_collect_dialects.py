"""Dialects of logs: what each fixture in tests/logs/ says, no more and no less."""

from pathlib import Path

import pytest

from hpcdl.collector import Row, collect_rows

LOGS = Path(__file__).parent / "logs"

# By fixture: the columns that must hold, and those that must be empty; every other column of NUMBERS must be empty too.
NUMBERS = (
    "epochs_done epochs_planned partial loss accuracy val_loss val_accuracy best_val_accuracy best_epoch test_loss "
    "test_accuracy images_per_s epoch_s time_s"
).split()
EXPECTED = {
    "lecture_jsc.log": {
        **{"outcome": "completed", "framework": "keras", "epochs_done": 20, "epochs_planned": 20, "epoch_s": 31},
        **{"loss": 0.0061, "accuracy": 0.9981, "val_loss": 0.0397, "val_accuracy": 0.9917},
        **{"best_val_accuracy": 0.9928, "best_epoch": 19},
        **{"test_loss": 0.03320675646913296, "test_accuracy": 0.9927, "metric.ms_per_sample": None},
    },
    "lecture_vsc.log": {
        **{"outcome": "completed", "epochs_done": None, "epochs_planned": 20},
        **{"test_loss": 0.0483192791523, "test_accuracy": 0.99},
    },
    "keras1_python2.log": {
        **{"outcome": "completed", "epochs_done": 2, "epochs_planned": 2, "epoch_s": 17, "loss": 0.0425},
        **{
            "accuracy": 0.9888,
            "val_loss": 0.0893,
            "val_accuracy": 0.9744,
            "best_val_accuracy": 0.9744,
            "best_epoch": 2,
        },
        **{"test_loss": 0.092632722640130671, "test_accuracy": 0.978},
    },
    "keras2_no_terminal.log": {
        **{"outcome": "completed", "epochs_done": 2, "epochs_planned": 2, "epoch_s": 5, "loss": 1.0796},
        **{"accuracy": 0.6456, "metric.auc": 0.385, "metric.ms_per_step": 141},
    },
    "keras215_verbose2_evaluate.log": {
        **{"outcome": "completed", "epochs_done": 2, "epochs_planned": 2, "epoch_s": 35, "loss": 0.0139},
        **{"accuracy": 0.9947, "test_loss": 0.034698441314697, "test_accuracy": 0.98950284576416},
    },
    "tfkeras_verbose2_timelimit.log": {
        **{"outcome": "time_limit", "job_id": "2653432", "scheduler": "slurm", "evidence_line": 6},
        **{"epochs_done": 2, "epochs_planned": 250, "epoch_s": 2087, "loss": 2.1272, "accuracy": 0.3712},
        **{"val_loss": 2.0786, "val_accuracy": 0.381, "best_val_accuracy": 0.3829, "best_epoch": 1},
        **{"metric.auc": 0.9144},
    },
    "horovod_all_ranks.log": {
        **{"outcome": "completed", "ranks": 2, "epochs_done": 2, "epochs_planned": 2, "epoch_s": 29},
        **{"loss": 0.7, "accuracy": 0.78, "test_loss": 0.65, "test_accuracy": 0.81},  # rank 0's
    },
    "ranks_without_prefix.log": {
        **{"outcome": "crash", "cause": "task 1 on node7: Segmentation fault (core dumped)", "epochs_done": 2},
        **{"epochs_planned": 3, "loss": 1.3, "accuracy": 0.52, "epoch_s": 3},
    },
    "horovod_synthetic.log": {"outcome": "completed", "ranks": 4, "images_per_s": 523.9},
    "tf_cnn_benchmarks_two_workers.log": {"outcome": "completed", "images_per_s": 308.27, "loss": 8.542},
    "nvcnn_pbs.log": {
        **{"outcome": "completed", "scheduler": "pbs", "job_id": "7793612", "time_s": 658, "loss": 7.6},
        **{"images_per_s": 917.2},  # the median without the first and the last row
    },
    "mlperf.log": {"outcome": "completed", "job": "cosmoflow", "epochs_done": 2, "metric.eval_error": 0.1230510026},
    "mlperf_old.log": {
        **{"outcome": "completed", "epochs_done": 2, "val_accuracy": 0.7493, "best_val_accuracy": 0.7493},
        **{"best_epoch": 2},
    },
    "pytorch_mnist.log": {
        **{"outcome": "completed", "epochs_done": 2, "loss": 0.098299, "test_loss": 0.0399, "test_accuracy": 0.9869},
    },
    "pytorch_prints_crash_after.log": {
        **{"outcome": "crash_after_training", "epochs_done": 21, "loss": 0.00119, "test_loss": 3.23e-05},
        **{"metric.final_loss": 1.3456286069413181e-05, "evidence_line": 8},
    },
    "epoch_blocks_incomplete.log": {
        **{"outcome": "incomplete", "epochs_done": 2, "epochs_planned": 50, "loss": 1.1609, "accuracy": 0.63},
        **{"val_loss": 1.3309, "val_accuracy": 0.58, "best_val_accuracy": 0.58, "best_epoch": 2},
        "partial": "epoch 3, loss 0.9999, accuracy 0.7000",
    },
    "lightning.log": {
        **{"outcome": "preempted", "epochs_done": 1, "loss": 4.09, "accuracy": 0.545, "val_loss": 1.06088},
        "partial": "epoch 1 at 71/156, loss 2.1000, accuracy 0.6450",
    },
    "huggingface.log": {
        **{"outcome": "completed", "epochs_done": 2, "loss": 0.3931, "val_loss": 0.35, "val_accuracy": 0.86},
        **{"best_val_accuracy": 0.86, "best_epoch": 2, "images_per_s": 1.088},
    },
    "megatron_stopped.log": {
        **{"outcome": "oom_gpu", "framework": "megatron", "loss": 38.99556, "evidence_line": 6},
        "partial": "step 4 of 1000, ms_per_step 1266.0000, loss 38.9956",
    },
    "mxnet.log": {
        **{"outcome": "completed", "epochs_done": 2, "epochs_planned": 2, "epoch_s": 16.754802, "loss": 0.01431},
        **{"accuracy": 0.996374, "val_accuracy": 0.92, "best_val_accuracy": 0.92, "best_epoch": 1},  # from 0
    },
    "mxnet_imagenet.log": {
        **{"outcome": "unknown", "epochs_done": 1, "accuracy": 0.123, "val_accuracy": 0.234, "epoch_s": 660.5},
        **{"best_val_accuracy": 0.234, "best_epoch": 0, "metric.images_per_s_per_rank": 1901},
    },
    "estimator_per_rank.log": {
        **{"outcome": "completed", "loss": 1.25, "test_loss": 1.1037577, "metric.test_masked_lm_accuracy": 0.7464631},
    },
    "nanogpt_with_source.log": {
        **{"outcome": "completed", "loss": 3.2364, "val_loss": 3.2751, "metric.step": 1530},
        **{"metric.train_time_s": 264.608, "metric.step_average_s": 0.17408},
    },
    "lsf_gpu_memory.log": {
        **{"outcome": "oom_gpu", "scheduler": "lsf", "job_id": "21839145", "job": "run_0", "time_s": 166},
    },
    "early_setup_error.log": {"outcome": "cancelled", "job_id": "3330039", "evidence_line": 9},
    "port_in_use.log": {"outcome": "crash", "evidence_line": 4},
    "unknown.log": {"outcome": "unknown"},
    "accuracy_table.log": {
        **{"outcome": "completed", "epochs_done": 2, "loss": 0.9789, "accuracy": 0.6238, "val_loss": 0.9218},
        **{"val_accuracy": 0.6693, "best_val_accuracy": 0.6693, "best_epoch": 2},
    },
}


def rows_of(*paths: Path) -> list[Row]:
    warnings: list[str] = []
    rows = collect_rows(paths, warnings.append)
    assert warnings == []
    return rows


@pytest.mark.parametrize("name", EXPECTED)
def test_fixture(name):
    (row,) = rows_of(LOGS / name)
    found, expected = row.as_dict(), EXPECTED[name]
    assert {column: found.get(column) for column in expected} == expected
    invented = {column: found[column] for column in NUMBERS if column not in expected and found[column] is not None}
    assert invented == {}


def test_every_fixture_is_tested():
    assert {path.name for path in LOGS.iterdir() if path.is_file()} == {*EXPECTED, "two_jobs.err"}


def test_two_jobs_in_one_file_are_two_rows():
    first, second = rows_of(LOGS / "two_jobs.err")
    assert [(row.job_id, row.outcome) for row in (first, second)] == [
        ("20457810", "time_limit"),
        ("20468948", "cancelled"),
    ]
    assert first.run != second.run


def test_jobs_appended_to_one_file_are_split_at_the_schedulers_reports(tmp_path):
    path = tmp_path / "all.log"
    one = [
        "Epoch 1/2",
        "5/5 - 1s - loss: 0.9",
        "Epoch 2/2",
        "5/5 - 1s - loss: 0.{0}",
        "\tJobId: {0}.server01",
        "\tExit Status: {1}",
    ]
    path.write_text("\n".join("\n".join(one).format(job, status) for job, status in ((7, 0), (8, 1))) + "\n")
    assert [(row.job_id, row.outcome, row.loss) for row in rows_of(path)] == [
        ("7", "completed", 0.7),
        ("8", "crash_after_training", 0.8),
    ]


def test_the_lecture_with_lines_missing_says_so():
    (row,) = rows_of(LOGS / "lecture_vsc.log")
    assert row.notes == ["epoch 1 has no end in the log, but a test follows: lines are missing"]


def test_our_own_lines_are_read_as_they_were_written(tmp_path):
    from hpcdl import runlog

    metrics = {"accuracy": 0.99811, "loss": 0.0061, "val_accuracy": 0.9917, "val_loss": 0.0397}
    lines = [
        *("60000 train samples", "Epoch 1/1", runlog.format_epoch(375, 375, 31.2, metrics)),
        *("Test score: 0.0332", "Test accuracy: 0.9927"),
        runlog.format_mllog("run_stop", None, "INTERVAL_END", status="success"),
    ]
    (tmp_path / "mnist_out.1").write_text("\n".join(lines) + "\n")
    (row,) = rows_of(tmp_path / "mnist_out.1")
    assert (row.outcome, row.epochs_done, row.epochs_planned, row.epoch_s) == ("completed", 1, 1, 31)
    assert (row.loss, row.accuracy, row.val_loss, row.val_accuracy) == (0.0061, 0.9981, 0.0397, 0.9917)
    assert (row.test_loss, row.test_accuracy) == (0.0332, 0.9927)


def write(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "job.log"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_an_accuracy_above_one_is_flagged_and_not_tabled(tmp_path):
    (row,) = rows_of(write(tmp_path, "Epoch 1/1", "10/10 - 3s - loss: 0.5 - acc: 2.1966"))
    assert (row.loss, row.accuracy, row.metrics["accuracy_as_printed"]) == (0.5, None, 2.1966)
    assert "no accuracy between 0 and 1" in row.notes[0]


def test_percentages_without_the_sign_are_known_by_their_size(tmp_path):
    lines = [f"Epoch {epoch}/3, val accuracy: {value}" for epoch, value in ((1, 9.5), (2, 98.26), (3, 97.0))]
    (row,) = rows_of(write(tmp_path, *lines, "Test accuracy: 96.5"))
    assert (row.val_accuracy, row.best_val_accuracy, row.best_epoch, row.test_accuracy) == (0.97, 0.9826, 2, 0.965)


def test_a_training_that_diverged_says_so(tmp_path):
    (row,) = rows_of(write(tmp_path, "Epoch 1/1", "10/10 - 3s - loss: nan - acc: 0.1"))
    assert (row.loss, row.notes) == (None, ["loss is nan: the training diverged"])


def test_numbers_that_are_none_are_not_tabled(tmp_path):
    (row,) = rows_of(
        write(tmp_path, "Epoch 1/2", "10/10 - 3s - loss: nan - acc: 0.1", "Epoch 2/2", "10/10 - 3s - loss: inf")
    )
    assert row.epochs_done == 2
    assert row.accuracy is None  # the last epoch's, not an earlier one's


def test_several_fits_are_told_apart(tmp_path):
    fit = ["Epoch 1/2", "5/5 - 1s - loss: 0.9", "Epoch 2/2", "5/5 - 1s - loss: 0.8"]
    (row,) = rows_of(
        write(tmp_path, *fit, *fit, "Epoch 1/2", "5/5 - 1s - loss: 0.4", "Epoch 2/2", "5/5 - 1s - loss: 0.3")
    )
    assert (row.epochs_done, row.loss, row.metrics["fits"]) == (2, 0.3, 3)


def test_a_resumed_training_goes_on_where_it_stopped(tmp_path):
    (row,) = rows_of(write(tmp_path, "Epoch 7/8", "5/5 - 1s - loss: 0.9", "Epoch 8/8", "5/5 - 1s - loss: 0.8"))
    assert (row.epochs_done, row.epochs_planned, row.outcome, row.metrics.get("fits")) == (8, 8, "completed", None)


def test_early_stopping_is_an_end_by_design(tmp_path):
    (row,) = rows_of(write(tmp_path, "Epoch 1/9", "5/5 - 1s - loss: 0.9", "Epoch 00001: early stopping"))
    assert (row.outcome, row.epochs_done, row.epochs_planned) == ("completed", 1, 9)


def test_callbacks_are_no_epochs(tmp_path):
    lines = [
        *("Epoch 1/2", "5/5 - 1s - loss: 0.9", "Epoch 00001: val_loss improved from inf to 0.4, saving model to x.h5"),
        *("Epoch 2/2", "5/5 - 1s - loss: 0.8", "Epoch 5: finished gradual learning rate warmup to 0.001."),
        "Epoch 00010: ReduceLROnPlateau reducing learning rate to 0.01.",
    ]
    (row,) = rows_of(write(tmp_path, *lines))
    assert (row.epochs_done, row.loss, row.val_loss) == (2, 0.8, None)


def test_pytorchs_imagenet_example(tmp_path):
    lines = [
        "Epoch: [0][  0/196]\tTime  5.1 ( 5.1)\tLoss 6.9000e+00 (6.9)\tAcc@1   0.00 (  0.20)\tAcc@5   1.00 (  1.00)",
        "Epoch: [0][190/196]\tTime  0.1 ( 0.2)\tLoss 5.9000e+00 (6.1)\tAcc@1   4.00 (  3.20)\tAcc@5   9.00 (  8.00)",
        "Test: [ 0/20]\tTime  0.1 ( 0.2)\tLoss 5.0000e+00 (5.0)\tAcc@1  11.00 ( 11.00)",
        " * Acc@1 10.250 Acc@5 30.500",
        "Epoch: [1][  0/196]\tTime  0.1 ( 0.1)\tLoss 5.7000e+00 (5.7)\tAcc@1   5.00 (  5.00)",
    ]
    (row,) = rows_of(write(tmp_path, *lines))
    assert (row.epochs_done, row.loss, row.accuracy, row.val_accuracy) == (1, 5.9, 0.04, 0.1025)
    assert (row.metrics["val_accuracy_5"], row.partial) == (0.305, "epoch 1 at 0/196, loss 5.7000, accuracy_1 0.0500")


def test_an_epoch_that_is_said_to_be_over(tmp_path):
    (row,) = rows_of(write(tmp_path, "Epoch 1 finished", "Epoch 2/2 done"))
    assert (row.epochs_done, row.outcome) == (2, "completed")


def test_an_unfinished_epoch_gives_no_result(tmp_path):
    lines = [
        "Epoch 1/9",
        " 1/10 [==>......] - ETA: 3s - loss: 0.9 - acc: 0.5",
        " 7/10 [=====>...] - ETA: 1s - loss: 0.7 - acc: 0.6",
    ]
    (row,) = rows_of(write(tmp_path, *lines))
    assert (row.outcome, row.epochs_done, row.loss, row.accuracy) == ("incomplete", 0, None, None)
    assert row.partial == "epoch 1 at 7/10, loss 0.7000, accuracy 0.6000"


def test_a_bar_of_unknown_length_is_no_result(tmp_path):
    lines = ["Epoch 1/9", "      1/Unknown - 3s 3s/step - loss: 0.9", "     37/Unknown - 5s 141ms/step - loss: 0.7"]
    (row,) = rows_of(write(tmp_path, *lines))
    assert (row.epochs_done, row.loss, row.partial) == (0, None, "epoch 1 at 37, loss 0.7000")
    (row,) = rows_of(write(tmp_path, *lines, "40/40 [======] - 6s 141ms/step - loss: 0.6"))
    assert (row.epochs_done, row.loss, row.partial) == (1, 0.6, None)


@pytest.mark.parametrize(
    ("text", "milliseconds"), [("141ms/step", 141), ("2s/step", 2000), ("641us/step", 0.641), ("10us/sample", 0.01)]
)
def test_times_of_a_step(tmp_path, text, milliseconds):
    (row,) = rows_of(write(tmp_path, "Epoch 1/1", f"37/37 [=======] - 5s {text} - loss: 1.0796"))
    name = "metric.ms_per_sample" if "sample" in text else "metric.ms_per_step"
    assert row.as_dict()[name] == pytest.approx(milliseconds)
