"""airbench94: its parameters against the paper, and the weights with which it begins."""

import keras
import numpy as np
import pytest

from hpcdl.train.build import build_model
from hpcdl.train.data.dataset import Dataset
from hpcdl.train.models.airbench import WHITENING, whitening
from hpcdl.train.models.catalogue import MODELS
from hpcdl.training import Training


def images(count=40):
    """Smooth uint8 images, whose pixels are as correlated as those of photographs."""
    coarse = np.random.default_rng(1).integers(0, 256, (count, 5, 5, 3))
    return coarse.repeat(4, axis=1).repeat(4, axis=2)[:, :17, :17].astype(np.uint8)


def test_it_has_the_papers_parameters():
    """1.97 million in the paper's table; of the 312 of the first layer 24 biases are left out and 288 not trained."""
    convolutions = 9 * (24 * 64 + 64 * 64 + 64 * 256 + 3 * 256 * 256)
    assert MODELS["airbench94"].parameters == convolutions + 2 * (64 + 256 + 256) + 256 * 10 + 10
    assert MODELS["airbench94"].parameters / 1e6 == pytest.approx(1.97, abs=0.005)


def test_whitened_patches_are_uncorrelated_and_come_with_both_signs():
    pixels = images().astype(np.float32) / 255 - 0.5
    kernel = whitening(pixels)
    assert (kernel.shape, kernel.dtype) == ((2, 2, 3, 24), np.float32)
    np.testing.assert_array_equal(kernel[..., 12:], -kernel[..., :12])
    out = keras.ops.convert_to_numpy(keras.ops.conv(pixels, kernel[..., :12])).reshape(-1, 12)
    moments = out.T @ out / len(out)
    np.testing.assert_allclose(moments, np.diag(np.diag(moments)), atol=2e-3)
    np.testing.assert_allclose(np.diag(moments)[:3], 1, rtol=0.05)  # the largest; small ones stay below 1


@pytest.mark.parametrize("normalize", [None, {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3]}])
def test_a_job_begins_with_whitening_of_its_own_images_and_convolutions_that_pass_on(normalize):
    pixels, targets = images(), np.arange(40) % 10
    data = Dataset("made", pixels, targets, pixels, targets, 10)
    model = {"name": "airbench94", "maps_1": 32, "maps_2": 40, "maps_3": 20}
    training = Training(model=model, data="cifar10", epochs=1, batch_size=8, normalize=normalize)
    built = build_model(training, data, "float32", steps=5)
    seen = pixels.astype(np.float32) / 255
    if normalize:
        seen = (seen - normalize["mean"]) / normalize["std"]
    first, *others = (layer for layer in built.layers if isinstance(layer, keras.layers.Conv2D))
    np.testing.assert_allclose(first.get_weights()[0], whitening(seen), rtol=1e-2, atol=1e-2)
    assert first.name == WHITENING
    assert not any(variable is first.kernel for variable in built.trainable_variables)
    for layer in others:
        (kernel,) = layer.get_weights()
        both = min(kernel.shape[2:])
        passed = np.zeros((3, 3, kernel.shape[2], both))
        passed[1, 1, range(both), range(both)] = 1
        np.testing.assert_array_equal(kernel[..., :both], passed)
        assert (kernel[..., both:] != 0).all()  # the rest is random
