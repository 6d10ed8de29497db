"""The rendered data sets: what they say is true can be found in what they show."""

import numpy as np
import pytest

from hpcdl.train.data import Data, ecg, football, load_dataset


@pytest.mark.parametrize("name", ["ecg", "football"])
def test_the_same_seed_renders_the_same_data(name):
    first, again, other = (
        load_dataset(Data(name=name, num_train=20, num_test=10, seed=seed)).check() for seed in (3, 3, 4)
    )
    assert first.digest == again.digest
    assert first.digest != other.digest
    assert not np.array_equal(first.train_inputs[:10], first.test_inputs)


@pytest.fixture(scope="module")
def signals():
    return load_dataset(Data(name="ecg", num_train=500, num_test=50)).check()


def r_peaks(signal: np.ndarray) -> np.ndarray:
    """The samples of the R waves: steep, and 0.2 s apart."""
    steep = np.convolve(np.abs(np.diff(signal, prepend=signal[0])), np.ones(5), "same")
    found: list[int] = []
    for place in np.argsort(-steep)[:300]:
        if steep[place] > 0.5 * steep.max() and all(abs(place - other) > 20 for other in found):
            found.append(int(place))
    return np.sort(found)


def test_rhythms_have_their_rates_and_their_regularity(signals):
    rates, spreads = {}, {}
    for number, name in enumerate(ecg.NAMES):
        intervals = [np.diff(r_peaks(row[:, 0])) / 100 for row in signals.train_inputs[signals.train_targets == number]]
        rates[name] = np.array([60 / np.median(row) for row in intervals])
        spreads[name] = np.median([row.std() / row.mean() for row in intervals])
    for name in ("normal", "bradycardia", "tachycardia"):
        low, high = ecg.RHYTHMS[name]
        assert ((rates[name] > low * 0.93) & (rates[name] < high * 1.07)).mean() > 0.95, name
        assert spreads[name] < 0.08, name
    assert spreads["atrial fibrillation"] > 0.14
    assert spreads["premature beats"] > 0.14


def test_classes_are_in_equal_parts_and_values_are_plausible(signals):
    assert np.bincount(signals.train_targets).tolist() == [100] * 5
    height = signals.train_inputs.max(axis=(1, 2))
    assert height.min() > 0.4
    assert height.max() < 2.6


def test_fibrillation_has_no_p_wave():
    random = np.random.default_rng(0)
    classes = np.repeat([ecg.NAMES.index("normal"), ecg.FIBRILLATION], 200)
    intervals, premature = ecg.beats(classes, random)
    height, centre, _ = ecg._waves(classes, intervals, premature, random)[0]
    assert (height[:200] >= 0.08).all()
    assert (height[200:] == 0).all()
    assert (centre < -0.1).all()


def test_a_premature_beat_is_early_and_followed_by_the_pause_that_makes_up_for_it():
    random = np.random.default_rng(0)
    intervals, premature = ecg.beats(np.full(100, ecg.PREMATURE), random)
    rows, places = np.nonzero(premature[:, 1:-1])
    places += 1
    two = intervals[rows, places] + intervals[rows, places + 1]
    usual = np.median(intervals, axis=1)[rows]
    assert (intervals[rows, places] < 0.82 * usual).all()
    assert np.abs(two / usual - 2).max() < 0.2
    assert premature[:, :8].any(axis=1).all(), "each signal has some"


def test_the_camera_shows_the_eight_nearest_players_and_not_more():
    """By the rule itself, player by player."""
    players, ball = football.scenes(50, np.random.default_rng(0))
    truth = football.truth(players, ball)
    for scene in range(50):
        across, down = football.project(ball[scene])[0]
        np.testing.assert_allclose(truth[scene, :2], [across, down], atol=1e-6)
        half = 2 ** (-3 * truth[scene, 2]) / 2 / 1.25
        seen = [football.project(player)[0] for player in players[scene]]
        inside = sum(abs(x - across) <= half * 1.0001 and abs(y - down) <= half * 1.0001 for x, y in seen)
        assert inside == 8 or truth[scene, 2] in (0, 1)
    assert truth.min() >= 0
    assert truth.max() <= 1


def test_the_ball_is_white_where_the_truth_says():
    data = load_dataset(Data(name="football", num_train=200, num_test=1))
    x, y = (data.train_targets[:, :2] * [football.WIDTH, football.HEIGHT] - 0.5).T
    brighter = 0
    for image, column, row in zip(data.train_inputs, np.rint(x).astype(int), np.rint(y).astype(int), strict=True):
        blue = image[..., 2].astype(int)  # grass has little of it
        brighter += blue[row - 1 : row + 2, column - 1 : column + 2].max() > np.percentile(blue, 90)
    assert brighter > 195


def test_the_pitch_narrows_with_the_depth():
    near, far = (football.project(np.array([[0.0, deep], [105.0, deep]]))[0] for deep in (0.0, 68.0))
    assert near[1, 0] - near[0, 0] == pytest.approx(0.94)
    assert far[1, 0] - far[0, 0] == pytest.approx(0.94 * 70 / 138)
    assert far[0, 1] == pytest.approx(0.12)
    assert near[0, 1] == pytest.approx(0.94)
