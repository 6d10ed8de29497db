"""Whole trainings that begin with another one's weights: what moves, what does not, and that they can be continued."""

import json
import os
import shutil
import signal

import keras
import numpy as np
import pytest

from hpcdl import runlog
from hpcdl.train import checkpoint, trainer
from hpcdl.train.transfer import features
from hpcdl.train.world import Stopped, WorldError

THREE = {"name": "digits", "classes": [5, 6, 7], "per_class": 20}
STAGED = {
    "unfreeze": [
        {"epoch": 2, "layers": ["conv2d_1"], "learning_rate_factor": 0.5},
        {"epoch": 4, "layers": ["conv2d:"]},
    ]
}
WEIGHTS = ["conv2d/kernel", "conv2d/bias", "batch_normalization/gamma", "batch_normalization/beta"]
WEIGHTS += [name.replace("2d/", "2d_1/").replace("tion/", "tion_1/") for name in WEIGHTS]
WEIGHTS += ["dense/kernel", "dense/bias"]


def weights(folder) -> list[np.ndarray]:
    """The trainable weights and then the statistics of a run's model."""
    model = keras.models.load_model(folder / "model.keras")
    model.trainable = True
    return [v.numpy() for v in [*model.trainable_variables, *model.non_trainable_variables] if v.dtype == "float32"]


def moved(before: list[np.ndarray], after: dict[str, np.ndarray]) -> set[str]:
    return {name for name, old in zip(WEIGHTS, before, strict=False) if (after[name] != old).any()}


def checkpoints(folder) -> list[tuple[dict[str, np.ndarray], list[np.ndarray]]]:
    """Of each epoch: the weights by name, and the statistics of the two batch normalisations."""
    states = []
    for path in sorted((folder / checkpoint.FOLDER).glob("step-*.npz")):
        arrays, _ = checkpoint.read_checkpoint(path)
        named = {name: arrays[f"weight/{place}"] for place, name in enumerate(WEIGHTS)}
        states.append((named, [a for name, a in arrays.items() if name.startswith("rank0/") and a.shape == (4,)]))
    return states


def losses(folder) -> list[float]:
    events, _ = runlog.read_events((folder / runlog.METRICS_FILE).read_text().splitlines())
    return [event["loss"] for event in events if event["event"] == "epoch"]


def ended(folder) -> tuple[str, list[float]]:
    events, _ = runlog.read_events((folder / runlog.METRICS_FILE).read_text().splitlines())
    known = {event["epoch"]: event["loss"] for event in events if event["event"] == "epoch"}
    return events[-1]["weight_hash"], [known[epoch] for epoch in sorted(known)]


def test_each_stage_moves_its_layers_and_nothing_else_by_a_bit(run, source, capfd):
    folder = run("staged", epochs=5, transfer={"weights": str(source), "head": "new", **STAGED})
    states, old = checkpoints(folder), weights(source)
    head, second = {"dense/kernel", "dense/bias"}, {"conv2d_1/kernel", "conv2d_1/bias"}
    assert [moved(old, state) for state, _ in states] == [
        head,
        head | second,
        head | second,
        set(WEIGHTS),
        set(WEIGHTS),
    ]
    statistics = [[np.abs(new - was).max() for new, was in zip(own, old[10:14], strict=True)] for _, own in states]
    assert np.array(statistics[:3]).max() == 0, "a frozen batch normalisation keeps its statistics"
    assert np.array(statistics[3]).min() > 0, "that of a layer that is trained follows the data"
    said = capfd.readouterr().out
    assert [line.strip() for line in said.splitlines() if "trained: " in line] == [
        "trained: the last layer alone",
        "trained: the last layer and conv2d_1",
        "trained: the last layer and conv2d, batch_normalization, conv2d_1, batch_normalization_1",
    ]
    noted = json.loads((folder / "record.json").read_text())["transfer"]
    assert noted["weights"] == str(source / "model.keras")
    assert noted["new_head"]


def test_the_features_are_computed_once_and_train_the_same_head(run, source, capfd):
    values = {"epochs": 3, "validation_split": 0.2, "dropout": 0.3, "ema": 0.9}
    once = run("once", transfer={"weights": str(source), "head": "new"}, **values)
    assert "computed once for each input" in capfd.readouterr().out
    each = run("each", transfer={"weights": str(source), "head": "new", "cache": False}, **values)
    assert "computed in every step" in capfd.readouterr().out
    np.testing.assert_allclose(losses(once), losses(each), rtol=1e-5)
    head = WEIGHTS.index("dense/kernel"), WEIGHTS.index("dense/bias")
    for place, (mine, other, old) in enumerate(zip(weights(once), weights(each), weights(source), strict=True)):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-6)
        assert (mine == old).all() == (place not in head)
    assert not (once / features.FOLDER).exists(), "they go when the run has ended"


def test_augmentation_is_seen_by_the_frozen_layers_in_every_step(run, source, capfd):
    run("changed", transfer={"weights": str(source)}, augment={"shift": 2})
    assert "computed in every step, since the recipe changes the inputs" in capfd.readouterr().out


def test_all_layers_learn_where_the_weights_are_only_the_beginning(run, source):
    folder = run("all", transfer={"weights": str(source), "trainable": "all"})
    assert moved(weights(source), checkpoints(folder)[0][0]) == set(WEIGHTS)


@pytest.mark.parametrize(
    ("transfer", "stops"),
    [(STAGED, (7, 18)), ({"trainable": "all"}, (7,)), ({}, (12,))],
    ids=["stages", "all", "head"],
)
@pytest.mark.slow
def test_a_run_stopped_in_the_middle_of_a_stage_goes_on_to_the_same_weights(
    run, source, transfer, stops, monkeypatch, capfd
):
    copied = run("unused", data={"name": "digits", "per_class": 2})  # a source that goes away
    shutil.copy(source / "model.keras", copied / "s.keras")
    values = {"epochs": 5, "ema": 0.9, "schedule": {"name": "cosine"}, "augment": {"shift": 1} if transfer else {}}
    values |= {"transfer": {"weights": str(copied / "s.keras"), **transfer}}
    whole = ended(run("whole", **values))
    for stop in stops:  # of 25 steps
        check_in = trainer.check_in

        def signalled(us, loss, step, signal_name, stop=stop, check_in=check_in):
            if step == stop:
                os.kill(os.getpid(), signal.SIGUSR1)
            return check_in(us, loss, step, signal_name)

        monkeypatch.setattr(trainer, "check_in", signalled)
        with pytest.raises(Stopped):
            run(f"stopped{stop}", **values)
        monkeypatch.setattr(trainer, "check_in", check_in)
        (copied / "s.keras").rename(copied / "away.keras")
        assert ended(run(f"stopped{stop}", **values)) == whole, stop
        (copied / "away.keras").rename(copied / "s.keras")


def test_a_signal_while_features_are_computed_leaves_those_that_are_done(run, source, monkeypatch, tmp_path):
    monkeypatch.setattr(features, "BATCH", 20)
    monkeypatch.setattr(features, "BATCHES_IN_FILE", 2)
    compute, computed = features._compute, []

    def signalled(*given):
        computed.append(given[2])
        if len(computed) == 2:
            os.kill(os.getpid(), signal.SIGUSR1)
        return compute(*given)

    monkeypatch.setattr(features, "_compute", signalled)
    values = {"transfer": {"weights": str(source)}}
    with pytest.raises(Stopped, match="SIGUSR1 stopped the run while it computed features") as stopped:
        run("stopped", **values)
    assert stopped.value.exit_code == 75
    assert len(computed) == len(list((tmp_path / "stopped" / features.FOLDER).glob("*/*.npy"))) == 2
    run("stopped", **values)
    assert len(computed) == 3 + 5, "100 training and 180 test images, 40 in a file"


def test_only_features_that_are_not_there_are_computed_again(run, source, monkeypatch, tmp_path):
    class Killed(BaseException):
        pass

    def killed(*arguments):
        raise Killed

    monkeypatch.setattr(features, "BATCH", 20)
    monkeypatch.setattr(features, "BATCHES_IN_FILE", 2)
    values = {"transfer": {"weights": str(source)}}
    with monkeypatch.context() as during:
        during.setattr(trainer, "check_in", killed)
        with pytest.raises(Killed):
            run("stopped", **values)
    files = sorted((tmp_path / "stopped" / features.FOLDER).glob("*/*.npy"))
    assert [file.name for file in files][:3] == ["test-00000.npy", "test-00001.npy", "test-00002.npy"]
    assert files[-1].name == "train-00002.npy"
    files[-1].unlink()
    computed = []
    compute = features._compute
    monkeypatch.setattr(features, "_compute", lambda *given: computed.append(given[2]) or compute(*given))
    run("stopped", **values)
    assert computed == [slice(80, 100)]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"model": {"name": "small_networks:small", "maps": 5}},
            r"of another network than train\.model: the weights of its",
        ),
        ({"transfer": {"unfreeze": [{"epoch": 1, "layers": ["conv"]}]}}, r"is called conv; there are conv2d, batch_no"),
        ({"transfer": {"head": "keep"}, "data": THREE}, r"has 5 outputs, not 3, so that it cannot be kept"),
        ({"transfer": {"weights": "absent.keras"}}, r"train\.transfer\.weights: absent\.keras: no such file or folder"),
    ],
)
def test_what_cannot_be_transferred_is_refused_before_the_training(run, source, tmp_path, values, sentence):
    transfer = {"weights": str(source), **values.get("transfer", {})}
    with pytest.raises(WorldError, match=sentence) as error:
        run("refused", **{**values, "transfer": transfer})
    assert error.value.exit_code == 2
    assert not (tmp_path / "refused" / checkpoint.FOLDER).exists()
