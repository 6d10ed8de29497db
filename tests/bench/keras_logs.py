"""Logs of progress bars as Keras writes them, of any size, made epoch by epoch."""

import random
from collections.abc import Callable
from pathlib import Path

KINDS = ("keras2-backspaces", "keras2-lines", "keras3")
"""Keras 2 where it draws over the line, Keras 2 where each state has a line of its own, Keras 3."""
VARIETIES = 8
"""Epochs that are drawn anew; the rest repeat them under their own headers."""


def write(path: Path, kind: str, size: int, steps: int) -> None:
    """Write a log of at least `size` bytes with `steps` steps an epoch; its last epoch has numbers of its own."""
    draw = random.Random(size)
    bar: Callable[..., str] = keras_3 if kind == "keras3" else keras_2
    bodies = [_body(bar, kind, steps, draw).encode() for _ in range(VARIETIES)]
    epochs = max(size // len(bodies[0]), 1)
    with open(path, "wb") as log:
        for epoch in range(1, epochs + 1):
            log.write(b"Epoch %d/%d\n" % (epoch, epochs))
            log.write(bodies[epoch % VARIETIES] if epoch < epochs else _body(bar, kind, steps, draw).encode())


def keras_2(step: int, steps: int, metrics: str) -> str:
    """Return one state, as Progbar of Keras 2 writes it."""
    done = 30 * step // steps
    count = f"{step:{len(str(steps))}d}/{steps}"
    if step == steps:
        return f"{count} [{'=' * 30}] - 31s 83ms/step - {metrics}"
    fill = "=" * max(done - 1, 0) + ">" * (done > 0) + "." * (30 - done)
    return f"{count} [{fill}] - ETA: {max((steps - step) // 12, 1)}s - {metrics}"


def keras_3(step: int, steps: int, metrics: str) -> str:
    """Return one state, as Progbar of Keras 3 writes it."""
    done = 20 * step // steps
    fill = f"\x1b[32m{'━' * done}\x1b[0m\x1b[37m{'━' * (20 - done)}\x1b[0m"
    count = f"\x1b[1m{step:{len(str(steps))}d}/{steps}\x1b[0m"
    return f"{count} {fill} \x1b[1m{max((steps - step) // 12, 1)}s\x1b[0m 83ms/step - {metrics}"


def _body(bar: Callable[..., str], kind: str, steps: int, draw: random.Random) -> str:
    states = []
    for step in range(1, steps + 1):
        metrics = f"loss: {draw.random():.4f} - accuracy: {draw.random():.4f}"
        if step == steps:
            metrics += f" - val_loss: {draw.random():.4f} - val_accuracy: {draw.random():.4f}"
        state = bar(step, steps, metrics)
        if step == steps or kind == "keras2-lines":
            states.append(f"{state}\n")
        elif kind == "keras2-backspaces":
            states.append(state + "\b" * len(state) + "\r")
        else:
            states.append(f"{state}\r")
    return "".join(states)
