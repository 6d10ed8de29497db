"""`ecg`: rendered signals like one lead of an electrocardiogram, of five rhythms whose truth is known.

Each is 10 s at 100 samples a second, in millivolt, as the records of PTB-XL in their smaller form (P. Wagner et al.,
Scientific Data 7:154, 2020). A beat is a sum of Gaussian waves P, Q, R, S, T, after the idea of ECGSYN (P. McSharry
et al., IEEE Transactions on Biomedical Engineering 50:289, 2003), whose differential equations are not used. The
signals are for teaching and tests: a network that knows them knows no patient.

Where the numbers are from, as far as they are from anywhere:
- 60 to 100 beats a minute are a normal rate, fewer bradycardia, more tachycardia; PR interval 120 to 200 ms, QRS below
  120 ms (premature ventricular beats have more), P below 0.25 mV: any introduction to the electrocardiogram.
- The QT interval grows with the root of the RR interval: H. Bazett, Heart 7:353, 1920.
- In fibrillation there is no P wave; 4.4 to 6.8 Hz of its waves were measured by S. Petrutiu et al., Journal of
  Electrocardiology 40:155, 2007, while textbooks give an atrial rate of 350 to 600 a minute, 6 to 10 Hz; here it is
  4 to 9 Hz.
- All other heights, widths and variations are our choice, of a plausible size, and not measured anywhere.
"""

import numpy as np

from hpcdl.train.data.dataset import Dataset

RATE_HZ = 100
LENGTH = 1000
"""Samples of one signal: 10 s."""
MOST_BEATS = 32
"""More than fit into a signal at the highest rate."""

RHYTHMS = {
    "normal": (65, 95),
    "bradycardia": (35, 55),
    "tachycardia": (110, 160),
    "atrial fibrillation": (60, 140),
    "premature beats": (60, 90),
}
"""The classes in order, and the range of the mean rate in beats a minute. Five beats beside the borders at 60 and 100
are left out, so that the few beats of a signal decide its class."""
NAMES = tuple(RHYTHMS)
FIBRILLATION, PREMATURE = NAMES.index("atrial fibrillation"), NAMES.index("premature beats")


def load_ecg(num_train: int = 4000, num_test: int = 1000, seed: int = 1) -> Dataset:
    """Return rendered signals, the same for the same numbers and seed (to the last bits on other kinds of processor).

    Inputs are float32 of shape (n, 1000, 1), in millivolt; the classes, in equal parts, are those of RHYTHMS.
    """

    def part(number: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng([seed, number])
        classes = random.permutation(np.arange(count) % len(NAMES))
        return render(classes, random), classes

    return Dataset("ecg", *part(0, num_train), *part(1, num_test), len(NAMES), class_names=NAMES)


def render(classes: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a signal for each rhythm asked for.

    Args:
        classes: int64, shape (n,): places in RHYTHMS.
    Returns:
        float32, shape (n, 1000, 1), in millivolt.
    """
    intervals, premature = beats(classes, random)
    first = -random.uniform(0.1, 1, len(classes)) * intervals[:, 0]  # the signal begins anywhere in a beat
    times = first[:, None] + np.cumsum(intervals, axis=1)
    signal = np.zeros((len(classes), LENGTH))
    for height, centre, width in _waves(classes, intervals, premature, random):
        _add(signal, times + centre, width, height)
    signal += _fibrillation(classes, random) + _disturbance(len(classes), random)
    return signal.astype(np.float32)[..., None]


def beats(classes: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval before each beat in seconds, and which beats are premature; both of shape (n, MOST_BEATS).

    - A sinus rhythm breathes: its intervals swing by 2 to 5 % at 0.2 to 0.35 Hz, and by 1 % at random.
    - In fibrillation each interval is drawn alone, with a coefficient of variation of 0.18 to 0.3, and at least 0.3 s.
    - A premature beat comes after 0.55 to 0.75 of an interval; the pause behind it makes two intervals of the two.
      One of every 4 to 6 beats is premature, so that each signal has some.
    """
    n = len(classes)
    low, high = np.array(list(RHYTHMS.values()), float)[classes].T
    mean = 60 / random.uniform(low, high)[:, None]
    swing = random.uniform(0.02, 0.05, (n, 1))
    phase = random.uniform(0, 2 * np.pi, (n, 1)) + 2 * np.pi * random.uniform(0.2, 0.35, (n, 1)) * mean * np.arange(
        MOST_BEATS
    )
    sinus = mean * (1 + swing * np.sin(phase) + 0.01 * random.standard_normal((n, MOST_BEATS)))
    shape = 1 / random.uniform(0.18, 0.3, (n, 1)) ** 2  # of a gamma distribution with mean 1
    irregular = np.maximum(mean * random.gamma(shape, size=(n, MOST_BEATS)) / shape, 0.3)
    intervals = np.where((classes == FIBRILLATION)[:, None], irregular, sinus)
    every, start = random.integers(4, 7, (n, 1)), random.integers(0, 4, (n, 1))
    premature = ((np.arange(MOST_BEATS) + start) % every == 3) & (classes == PREMATURE)[:, None]
    early = random.uniform(0.55, 0.75, (n, MOST_BEATS))
    pause = np.zeros_like(early)
    pause[:, 1:] = np.where(premature[:, :-1], 1 - early[:, :-1], 0)
    return intervals * (np.where(premature, early, 1) + pause), premature


def _waves(
    classes: np.ndarray, intervals: np.ndarray, premature: np.ndarray, random: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Height in mV, centre behind the R wave and width (standard deviation) in seconds of each wave of each beat."""

    def each(low: float, high: float) -> np.ndarray:
        return random.uniform(low, high, (len(classes), 1))  # a heart has its own, the same in each beat

    atrial = ~premature & (classes != FIBRILLATION)[:, None]
    repolarised = each(0.26, 0.32) * np.sqrt(np.clip(intervals, 0.35, 1.2))
    height, large = each(0.7, 1.5), each(1.0, 1.8)
    wide = np.where(premature, each(0.04, 0.055), each(0.01, 0.014))
    after = np.where(premature, 0.11, each(0.028, 0.038)), np.where(premature, 0.04, each(0.009, 0.012))
    return [
        (np.where(atrial, each(0.08, 0.2), 0), -each(0.12, 0.18), each(0.018, 0.026)),  # P
        (np.where(premature, 0, -each(0.03, 0.15)), -each(0.028, 0.035), each(0.008, 0.011)),  # Q
        (np.where(premature, large, height), np.zeros((1, 1)), wide),  # R
        (np.where(premature, -0.4 * large, -each(0.05, 0.35)), *after),  # S
        (np.where(premature, -each(0.25, 0.5), each(0.12, 0.4)), repolarised + 0.06 * premature, each(0.04, 0.06)),  # T
    ]


def _add(signal: np.ndarray, centres: np.ndarray, widths: np.ndarray, heights: np.ndarray) -> None:
    """Add to row i of the signal a Gaussian for each centre in row i, of a width up to 60 ms, cut at four of them."""
    n, length = signal.shape
    centres, widths, heights = (part[..., None] for part in np.broadcast_arrays(centres, widths, heights))
    reach = int(4 * 0.06 * RATE_HZ)
    samples = np.rint(centres * RATE_HZ).astype(int) + np.arange(-reach, reach + 1)
    values = heights * np.exp(-0.5 * ((samples / RATE_HZ - centres) / widths) ** 2)
    there = (samples >= 0) & (samples < length)
    places = (np.arange(n)[:, None, None] * length + samples)[there]
    signal += np.bincount(places, values[there], n * length).reshape(n, length)


def _fibrillation(classes: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Fibrillatory waves of 4 to 9 Hz and 0.03 to 0.12 mV in place of P waves; their frequency wanders."""
    n = len(classes)
    frequency = random.uniform(4, 9, (n, 1)) + 0.5 * np.sin(
        2 * np.pi * (random.uniform(0.1, 0.4, (n, 1)) * np.arange(LENGTH) / RATE_HZ + random.uniform(size=(n, 1)))
    )
    phase = 2 * np.pi * (np.cumsum(frequency, axis=1) / RATE_HZ + random.uniform(size=(n, 1)))
    return np.where((classes == FIBRILLATION)[:, None], random.uniform(0.03, 0.12, (n, 1)) * np.sin(phase), 0)


def _disturbance(n: int, random: np.random.Generator) -> np.ndarray:
    """What no heart made: a baseline that drifts with the breath, and the noise of muscles and electrodes."""
    time = np.arange(LENGTH) / RATE_HZ
    drift = np.zeros((n, LENGTH))
    for _ in range(2):
        frequency, phase = random.uniform(0.05, 0.5, (n, 1)), random.uniform(0, 2 * np.pi, (n, 1))
        drift += random.uniform(0, 0.15, (n, 1)) * np.sin(2 * np.pi * frequency * time + phase)
    return drift + random.uniform(0.01, 0.05, (n, 1)) * random.standard_normal((n, LENGTH))
