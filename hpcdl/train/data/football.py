"""`football`: rendered panoramas of a football match, and what a camera that films it by itself should do.

A pitch of 105 m x 68 m (IFAB Laws of the Game, Law 1, the size for international matches) as one fixed camera beside
the halfway line sees all of it, with two teams of ten, two goalkeepers and the ball. The truth has a simple
rule, which a network is to find:

- x, y: where the camera looks: at the ball, 0..1 from the left and from the top of the panorama;
- zoom: as close as it can while its picture, as wide as high in proportion to the panorama, still shows the eight
  players nearest to the ball with a margin of a quarter; 0 shows the whole panorama, 1 an eighth of its width, and each
  third doubles the magnification. 0..1 is how a motorised camera is told its zoom (ONVIF PTZ Service Specification, the
  generic zoom position space).

Players and ball are drawn larger than life, as the panorama has few pixels.
"""

import numpy as np

from hpcdl.train.data.dataset import Dataset

HEIGHT, WIDTH = 40, 120
"""Of a panorama in pixels."""
LONG_M, DEEP_M = 105.0, 68.0
TARGETS = ("x", "y", "zoom")
NEAREST = 8
MARGIN = 1.25
DOUBLINGS = 3.0
"""Of the magnification, from zoom 0 to zoom 1."""
DISTANCE_M = 70.0
"""From the camera to the near touchline: it decides how fast the pitch narrows with the depth."""

BATCH = 256
GRASS, WHITE = np.array([62, 124, 56.0]), np.array([235, 235, 230.0])
TEAMS = np.array([[[200, 30, 40], [40, 60, 200]], [[240, 240, 240], [25, 25, 25]], [[240, 200, 30], [120, 20, 130.0]]])
"""The shirts of the two teams: one of three pairs."""
KEEPERS = np.array([255, 140, 0.0])


def load_football(num_train: int = 6000, num_test: int = 1000, seed: int = 1) -> Dataset:
    """Return rendered panoramas, the same for the same numbers and seed (on other kinds of processor a pixel may be one
    brighter or darker), and the camera's truth.

    Inputs are uint8 of shape (n, 40, 120, 3); targets float32 of shape (n, 3): x, y and zoom, all 0..1.
    """

    def part(number: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng([seed, number])
        players, ball = scenes(count, random)
        return render(players, ball, random), truth(players, ball)

    return Dataset("football", *part(0, num_train), *part(1, num_test), None, target_names=TARGETS)


def scenes(n: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return where players and ball are, in metres from the left and from the near touchline.

    The ball is anywhere; the teams stand in two formations, drawn together around it, more or less.

    Returns:
        Players, shape (n, 22, 2): ten of one team, ten of the other, two goalkeepers; ball, shape (n, 2).
    """
    pitch = np.array([LONG_M, DEEP_M])
    ball = random.uniform(0.03, 0.97, (n, 2)) * pitch
    lines = np.array([(0.2, 4), (0.42, 4), (0.65, 2)])  # a 4-4-2: how far ahead a line is, and its players
    anchors = np.array([(ahead, (place + 1) / (count + 1)) for ahead, count in lines for place in range(int(count))])
    formation = np.concatenate([anchors, 1 - anchors]) * pitch
    together = random.uniform(0.15, 0.75, (n, 1, 1))
    field = ball[:, None] + together * (formation - ball[:, None]) + random.normal(0, 4, (n, 20, 2))
    keepers = np.array([(2.0, DEEP_M / 2), (LONG_M - 2, DEEP_M / 2)]) + random.normal(0, 1.5, (n, 2, 2))
    return np.clip(np.concatenate([field, keepers], axis=1), 0.5, pitch - 0.5), ball


def project(metres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where points of the pitch are in the panorama, and how large a metre is there.

    Args:
        metres: shape (..., 2), from the left and from the near touchline.
    Returns:
        Fractions of width and height, shape (..., 2), from the left and from the top; the size of things relative to
        the near touchline, shape (...). Both by a pinhole camera at DISTANCE_M from that line.
    """
    size = DISTANCE_M / (DISTANCE_M + metres[..., 1])
    farthest = DISTANCE_M / (DISTANCE_M + DEEP_M)
    across = 0.5 + 0.94 * (metres[..., 0] / LONG_M - 0.5) * size
    down = 0.12 + 0.82 * (size - farthest) / (1 - farthest)
    return np.stack([across, down], axis=-1), size


def truth(players: np.ndarray, ball: np.ndarray) -> np.ndarray:
    """Return the camera's x, y and zoom, float32 of shape (n, 3), by the rule of this module."""
    seen, _ = project(players)
    aim, _ = project(ball)
    reach = np.abs(seen - aim[:, None]).max(axis=-1)  # half the side of a picture that shows the player
    side = 2 * MARGIN * np.sort(reach, axis=1)[:, NEAREST - 1]
    zoom = np.clip(-np.log2(side) / DOUBLINGS, 0, 1)
    return np.concatenate([aim, zoom[:, None]], axis=1).astype(np.float32)


def render(players: np.ndarray, ball: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the panoramas: uint8, shape (n, 40, 120, 3), under a light, in shirts and with a noise of their own."""
    n, background = len(ball), pitch().astype(np.float32)
    shirts = TEAMS[random.integers(len(TEAMS), size=n)]
    images = np.empty((n, HEIGHT, WIDTH, 3), np.uint8)
    for first in range(0, n, BATCH):
        part = slice(first, first + BATCH)
        count = len(ball[part])
        image = np.broadcast_to(background, (count, *background.shape))
        groups = [(0, 10, shirts[part, 0]), (10, 20, shirts[part, 1]), (20, 22, np.tile(KEEPERS, (count, 1)))]
        for start, stop, colour in groups:
            image = _paint(image, _spots(players[part, start:stop], wide=0.75, high=1.3, up=1.0), colour)
        image = _paint(image, _spots(ball[part, None], wide=0.62, high=0.62, up=0.3), np.full((count, 3), 255.0))
        bright, slope = random.uniform(0.75, 1.1, (count, 1, 1, 1)), random.uniform(-0.1, 0.1, (count, 1, 1, 1))
        light = bright + slope * np.linspace(-1, 1, WIDTH).reshape(1, 1, -1, 1)
        noise = 4 * random.standard_normal(image.shape, np.float32)
        images[part] = np.clip(np.rint(image * light.astype(np.float32) + noise), 0, 255).astype(np.uint8)
    return images


def pitch() -> np.ndarray:
    """Return the empty pitch in its panorama: float64, shape (40, 120, 3), 0..255; mown in stripes, lines of Law 1."""
    fine = 6  # points for each pixel and axis: lines thinner than a pixel are as faint as they are thin
    rows, columns = ((np.arange(count * fine) + 0.5) / (count * fine) for count in (HEIGHT, WIDTH))
    farthest = DISTANCE_M / (DISTANCE_M + DEEP_M)
    size = np.maximum(farthest + (rows - 0.12) / 0.82 * (1 - farthest), 0.05)[:, None]  # `project`, backwards
    deep = DISTANCE_M / size - DISTANCE_M
    along = ((columns[None] - 0.5) / (0.94 * size) + 0.5) * LONG_M
    grass = GRASS * (1 + 0.06 * np.sign(np.sin(np.pi * along / (LONG_M / 18))))[..., None]
    thick = 0.35  # metres; three times as wide as real ones
    x, y = along, deep + 0 * along
    from_end, from_middle = np.minimum(x, LONG_M - x), np.abs(y - DEEP_M / 2)
    inside = (x > -thick) & (x < LONG_M + thick) & (y > -thick) & (y < DEEP_M + thick)
    line = (np.abs(from_end) < thick) | (np.abs(x - LONG_M / 2) < thick)
    line |= (np.abs(y) < thick) | (np.abs(y - DEEP_M) < thick)
    line |= np.abs(np.hypot(x - LONG_M / 2, y - DEEP_M / 2) - 9.15) < thick
    for long, half in ((16.5, 20.16), (5.5, 9.16)):  # penalty area, goal area
        line |= (np.abs(from_end - long) < thick) & (from_middle < half)
        line |= (np.abs(from_middle - half) < thick) & (from_end < long)
    image = np.where((line & inside)[..., None], WHITE, grass)
    image = np.where((rows < 0.08)[:, None, None], np.array([90, 90, 100.0]), image)  # the stand behind the far line
    return image.reshape(HEIGHT, fine, WIDTH, fine, 3).mean(axis=(1, 3))


def _spots(metres: np.ndarray, wide: float, high: float, up: float) -> np.ndarray:
    """Return how much of each pixel some things cover: float32, shape (n, height, width), 0..1.

    Args:
        metres: where they stand, shape (n, count, 2).
        wide, high: standard deviations in pixels, near the camera.
        up: how far above its foot the middle of a thing is, in pixels near the camera.
    """
    places, size = project(metres)
    x, y = places[..., 0] * WIDTH - 0.5, places[..., 1] * HEIGHT - 0.5 - up * size
    scale = np.maximum(size, 0.6)[..., None]
    across = np.exp(-0.5 * ((np.arange(WIDTH) - x[..., None]) / (wide * scale)) ** 2)
    down = np.exp(-0.5 * ((np.arange(HEIGHT) - y[..., None]) / (high * scale)) ** 2)
    cover = np.matmul(down.transpose(0, 2, 1).astype(np.float32), across.astype(np.float32))
    return np.minimum(1.3 * cover, 1)


def _paint(image: np.ndarray, cover: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Lay a colour of each image, shape (n, 3), over its pixels as far as they are covered."""
    return image + cover[..., None] * (colour[:, None, None].astype(np.float32) - image)
