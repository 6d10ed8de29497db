"""The type of the arithmetic: what the job asks for, and what this machine does fast."""

from pathlib import Path

import tensorflow as tf

from hpcdl.training import Training

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
FAST_BFLOAT16 = {"amx_bf16", "avx512_bf16"}
"""Flags of x86 processors that multiply bfloat16 in hardware; without them it is slower than float32."""


def choose_precision(training: Training) -> str:
    """Return float32, bfloat16 or float16; `auto` is bfloat16 where this machine multiplies it fast, else float32."""
    if training.precision != "auto":
        return training.precision
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
        return "bfloat16" if capability >= (8, 0) else "float32"
    return "bfloat16" if FAST_BFLOAT16 & _processor_flags() else "float32"


def _processor_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())
