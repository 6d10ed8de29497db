"""What GPUs can compute at most, for an estimate where nothing was measured."""

import re

PEAKS: dict[str, dict[str, float]] = {
    "K80": {"float32": 4.4},
    "P100": {"float32": 10.6, "float16": 21.2},
    "V100": {"float32": 15.7, "float16": 125},
    "A100": {"float32": 156, "float16": 312, "bfloat16": 312},
    "H100": {"float32": 494, "float16": 989, "bfloat16": 989},
    "GH200": {"float32": 494, "float16": 989, "bfloat16": 989},
    "MI250X": {"float32": 47.9, "float16": 191.5, "bfloat16": 191.5},
}
"""TFLOP/s of one GPU as Slurm counts it (half a board for K80 and MI250X), from the data sheets of NVIDIA and AMD (SXM
boards), without sparsity: vector units on K80 and P100; tensor cores on V100 for float16 and from A100 on for all,
float32 as TF32, which is what TensorFlow takes there; matrix units on MI250X."""

FRACTION = 0.25
"""The part of the peak that the training of a convolutional network is taken to reach: what ResNet-50 reached on a V100
in float16 (1270 images/s, NVIDIA's DeepLearningExamples as quoted in its issue 837). On a P100 in float32 it was 0.51
(219 images/s, the benchmarks page of TensorFlow 1)."""


def peak_flops(model: str, precision: str) -> float | None:
    """Return the FLOP/s of a GPU at most, None where hpcdl does not know it.

    Args:
        model: as a site profile names it, such as "A100 40 GB".
        precision: a job's `train.precision`; `auto` is bfloat16 where the GPU has it.
    """
    known = next((PEAKS[word] for word in re.findall(r"[A-Z]+\d+X?", model) if word in PEAKS), {})
    chosen = precision if precision != "auto" else "bfloat16" if "bfloat16" in known else "float32"
    return known[chosen] * 1e12 if chosen in known else None
