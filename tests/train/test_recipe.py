"""From a `train:` section to the compiled model: network, loss, metrics, penalties, normalisation."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from hpcdl.errors import JobFileError
from hpcdl.train.build import build_model
from hpcdl.train.checkpoint import save_model
from hpcdl.train.data import Dataset
from hpcdl.train.evaluate import evaluate
from hpcdl.train.trainer import compile_steps
from hpcdl.train.world import world
from hpcdl.training import Training


def training(**values) -> Training:
    return Training(**{"model": "mnist_cnn", "data": "digits", "epochs": 1, "batch_size": 4, **values})


def dataset(num_classes=10, count=40, channels=1, regression=False) -> Dataset:
    chance = np.random.default_rng(1)
    images = chance.integers(0, 256, (count, 12, 12, channels), np.uint8)
    classes = np.arange(count) % num_classes
    targets = chance.random((count, num_classes)).astype(np.float32) if regression else classes
    return Dataset("made", images, targets, images, targets, None if regression else num_classes)


def built(data=None, precision="float32", **values):
    keras.utils.set_random_seed(1)
    return build_model(training(**values), data or dataset(), precision, steps=10)


def test_the_optimizer_is_keras_own_with_the_jobs_arguments():
    optimizer = {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": True}
    made = built(optimizer=optimizer).optimizer
    assert isinstance(made, keras.optimizers.SGD)
    assert (float(made.learning_rate), made.momentum, made.nesterov) == (pytest.approx(0.1), 0.9, True)
    assert isinstance(built(precision="float16").optimizer, keras.optimizers.LossScaleOptimizer)


def test_penalties_are_of_kernels_alone_and_in_the_loss_of_training():
    inputs, targets = tf.random.stateless_uniform((4, 12, 12, 1), [1, 2]), tf.eye(4, 10)
    plain, model = built(), built(penalty={"l1": 0.01, "l2": 0.02})
    kernels = [v.value.numpy() for v in model.trainable_variables if v.path.endswith("kernel")]
    assert len(kernels) == 4
    expected = sum(0.01 * np.abs(kernel).sum() + 0.02 * (kernel**2).sum() for kernel in kernels)
    losses = [float(each.compute_loss(inputs, targets, each(inputs))) for each in (plain, model)]
    assert losses[1] - losses[0] == pytest.approx(expected, rel=1e-4)


def test_the_saved_model_normalises_by_itself_and_needs_no_hpcdl(tmp_path):
    mean, std = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]
    data = dataset(channels=3)
    plain, model = built(data), built(data, normalize={"mean": mean, "std": std})
    inputs = np.random.default_rng(1).random((5, 12, 12, 3), np.float32)
    expected = np.array(plain((inputs - mean) / std))
    np.testing.assert_allclose(np.array(model(inputs)), expected, rtol=1e-5)
    save_model(model, tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(np.array(loaded(inputs)), expected, rtol=1e-5)
    assert model.count_params() == plain.count_params()
    assert [type(layer).__module__.split(".")[0] for layer in loaded.layers] == ["keras"] * len(loaded.layers)


def test_classes_are_measured_by_accuracy_and_many_of_them_by_the_first_five_too():
    assert set(built().get_metrics_result()) == {"loss", "accuracy"}
    assert set(built(top5=True).get_metrics_result()) == {"loss", "accuracy", "top5_accuracy"}
    assert set(built(dataset(100, 200)).get_metrics_result()) == {"loss", "accuracy", "top5_accuracy"}
    assert set(built(dataset(100, 200), top5=False).get_metrics_result()) == {"loss", "accuracy"}


def test_evaluation_counts_as_numpy_does():
    data, model = dataset(10, 33), built(top5=True)
    probabilities = model.predict(data.test_inputs.astype(np.float32) / 255, verbose=0)
    ranked = np.argsort(-probabilities, axis=1)
    measured = evaluate(model, data.test_inputs, data.test_targets, top5=True, mirrored=True)
    both = probabilities + model.predict(data.test_inputs[:, :, ::-1].astype(np.float32) / 255, verbose=0)
    assert measured == {
        "loss": pytest.approx(-np.log(probabilities[np.arange(33), data.test_targets]).mean(), rel=1e-5),
        "accuracy": np.mean(ranked[:, 0] == data.test_targets),
        "mirrored_accuracy": np.mean(both.argmax(axis=1) == data.test_targets),
        "top5_accuracy": np.mean((ranked[:, :5] == data.test_targets[:, None]).any(axis=1)),
    }


def test_the_first_epochs_see_small_images_and_the_others_whole_ones():
    data, epoch_steps = dataset(channels=3, count=16), 4
    recipe = {"model": {"name": "airbench94", "maps_1": 8, "maps_2": 8, "maps_3": 8}, "epochs": 2}
    recipe |= {"optimizer": {"name": "sgd", "learning_rate": 0.1}}
    small = recipe | {"small_images": {"size": 9, "epochs": 1}}
    order = np.arange(16, dtype=np.int32).reshape(epoch_steps, 4)[:2]

    def weights_after(values, first_step):
        model = built(data, **values)
        compile_steps(model, data, training(**values), world())(order, first_step)
        return model.get_weights()

    for first_step, same in ((0, False), (epoch_steps - 1, False), (epoch_steps, True)):
        pairs = zip(weights_after(small, first_step), weights_after(recipe, first_step), strict=True)
        assert all(np.array_equal(one, other) for one, other in pairs) == same
    by_hand = built(data, **recipe)
    for indices in order:
        images = tf.image.resize(data.train_inputs[indices] / np.float32(255), (9, 9), antialias=True)
        with tf.GradientTape() as tape:
            loss = by_hand.compute_loss(y=tf.one_hot(indices % 10, 10), y_pred=by_hand.call(images, training=True))
        variables = by_hand.trainable_variables
        by_hand.optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)
    for found, wanted in zip(weights_after(small, 0), by_hand.get_weights(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_a_regression_is_measured_by_its_squared_and_absolute_errors():
    data = dataset(3, 33, regression=True)
    model = built(data)
    assert set(model.get_metrics_result()) == {"loss", "mae"}
    wrong = model.predict(data.test_inputs.astype(np.float32) / 255, verbose=0) - data.test_targets
    measured = evaluate(model, data.test_inputs, data.test_targets)
    assert measured == {
        "loss": pytest.approx((wrong**2).mean(), rel=1e-5),
        "mae": pytest.approx(np.abs(wrong).mean(), rel=1e-5),
    }


@pytest.mark.parametrize(
    ("values", "data", "told"),
    [
        ({"normalize": {"mean": [0.5, 0.5], "std": [1, 1]}}, {}, "train.normalize has 2 channels, the data have 1"),
        ({"top5": True}, {"num_classes": 5}, "with 5 classes every image is among the first five"),
        ({"label_smoothing": 0.1}, {"regression": True}, "train.label_smoothing is for classes, but the targets of"),
        ({"mirrored": True}, {"regression": True}, "train.mirrored is for classes, but the targets of"),
        ({"augment": {"cutmix": 1}}, {"regression": True}, "train.augment.cutmix mixes classes"),
        ({"small_images": {"size": 12, "epochs": 1}}, {}, "12 is not smaller than the images, 12x12"),
        ({"small_images": {"size": 3, "epochs": 1}}, {}, "train.small_images: mnist_cnn needs images of at least 4x4"),
        ({"small_images": {"size": 8, "epochs": 1}}, {}, "train.small_images: mnist_cnn takes images of one size only"),
    ],
)
def test_a_recipe_that_does_not_fit_the_data_is_one_sentence(values, data, told):
    with pytest.raises(JobFileError, match=told):
        built(dataset(**data), **values)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"optimizer": {"name": "adam", "momentum": 0.9}}, "adam has no argument 'momentum'; it takes beta_1, beta_2"),
        ({"optimizer": {"name": "lars", "nesterov": True}}, "lars has no argument 'nesterov'"),
        ({"optimizer": {"clipnorm": 1, "clipvalue": 1}}, "clipnorm and clipvalue exclude each other"),
        ({"optimizer": {"reference_batch": 256}}, "reference_batch needs a scale"),
        ({"schedule": {"name": "step"}}, "a step schedule, and no other, needs milestones"),
        ({"schedule": {"name": "cosine", "milestones": [3]}}, "a step schedule, and no other, needs milestones"),
        ({"schedule": {"name": "step", "milestones": [3, 2]}}, "do not rise"),
        ({"schedule": {"warmup": 0.1, "warmup_epochs": 2}}, "the same in two units"),
        ({"schedule": {"end": 0.1}}, "constant has no end"),
        ({"schedule": {"factor": 0.1}}, "constant has no factor"),
        ({"augment": {"mixup": 0.2}, "batch_size": 5}, "batch_size 5 leaves one over; choose an even one"),
        ({"normalize": {"mean": [0.5], "std": [1, 1]}}, "mean has 1 channels and std 2"),
        ({"normalize": {"mean": [0.5], "std": [0]}}, "greater than 0"),
        ({"horovod": {"autotune": True, "cycle_time_ms": 1}}, "autotune finds fusion_threshold_mib and cycle_time_ms"),
        ({"keep_best": "accurracy"}, "val_accuracy"),
    ],
)
def test_nonsense_in_a_job_file_is_one_sentence(values, told):
    with pytest.raises(ValidationError, match=told) as caught:
        training(**values)
    assert caught.value.error_count() == 1
