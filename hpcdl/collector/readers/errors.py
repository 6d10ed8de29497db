"""Errors that a program, the shell, MPI, Horovod or the module system write."""

import re

from hpcdl.collector.events import Event, Sign

TRIGGERS = (
    "rror", "Killed", "fault", "Abort", "abort", "ssertion", "not found", "cannot open", "annot load", "MPI", "mpirun", "rterun",
    "tensors were submitted", "Stalled", "out of memory", "OOM", "No space left", "quota", "Unable to locate a modulefile",
    "terminate called", "received signal", "Horovod has been shut down", "FATAL", "Fatal", "can't open", "Illegal instr", "EXIT CODE",
    "ould not", "ouldn't", "TERMINATION", "RESOURCE_EXHAUSTED", "Watchdog", "Terminated", "interrupt", "module", "exceed",
)  # fmt: skip

# (pattern, outcome, level, sentence); the first that matches holds. {0} is the whole match, {1} the first group.
RULES: list[tuple[re.Pattern[str], str, str, str]] = [
    (re.compile(pattern), outcome, level, sentence)
    for pattern, outcome, level, sentence in (
        (r"ran out of memory trying to allocate .*not a failure", "oom_gpu", "warning", "{0}"),
        (
            r"CUDA out of memory\. Tried to allocate [\d.]+ \w+|RESOURCE_EXHAUSTED: (?:Out of memory|"
            r"Failed to allocate)[^.]*|OOM when allocating tensor with shape\[[\d,]*\]|CUDA Error: out of memory",
            "oom_gpu", "application", "out of memory on the GPU: {0}",
        ),
        (r"CUDA_ERROR_OUT_OF_MEMORY", "oom_gpu", "warning", "an allocation on the GPU failed and was tried again"),
        (
            r"(?:^|line \d+:\s+\d+ +)(Killed|Segmentation fault|Bus error|Aborted|Illegal instruction|"
            r"Floating point exception)\b(?: \(core dumped\))?(?:\s|$)",
            "crash", "application", "{1}",
        ),
        (r"line \d+:\s+\d+ +(Terminated)\b", "crash", "echo", "{1}"),
        (r"Fatal Python error: .*", "crash", "application", "{0}"),
        (r"terminate called after throwing an instance of .*", "crash", "application", "{0}"),
        (r"Signal: (Segmentation fault|Bus error|Aborted|Floating point exception|Illegal instruction) \(\d+\)",
         "crash", "application", "{0}"),
        (r"Assertion .* failed\.?", "crash", "application", "{0}"),
        (r"^Cannot load image .*|^Couldn't open file: .*", "crash", "application", "{0}"),
        (r"python[\d.]*: can't open file .*", "crash", "application", "{0}"),
        (r"error while loading shared libraries: .*", "module_error", "application", "{0}"),
        (r"^(?:usage: )?[\w./-]+\.py: error: .*", "crash", "application", "{0}"),
        (r"^FATAL:\s+.*|^FATAL ERROR.*", "crash", "application", "{0}"),
        (r"Watchdog caught collective operation timeout.*", "crash", "application", "a rank stalled: {0}"),
        (r"MPI_ABORT was invoked on rank \d+.*|Abort\(-?\d+\) on node \d+ \(rank \d+ in comm \d+\).*|Fatal error in P?MPI_\w+.*",
         "crash", "consequence", "{0}"),
        (r"(?:mpirun|mpiexec|prterun|orterun)(?:\.real)? (?:noticed|detected|has exited|was unable).*",
         "crash", "consequence", "{0}"),
        (r"Primary job\s+terminated normally, but|BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES|mpirun failed with exit.*"
         r"|Horovod detected that one or more processes exited.*|Process \d+ exit with status code \d+\.",
         "crash", "consequence", "{0}"),
        (r"Horovod has been shut down\. This was caused by an exception on one of the ranks.*", "crash", "consequence", "{0}"),
        (r"One or more tensors were submitted to be reduced.*|^Stalled ops: ?.*|missing ranks: .*",
         "crash", "stall", "ranks stalled: {0}"),
        (r"Lmod has detected the following error:?.*|Unable to locate a modulefile for .*|unable to locate a modulefile.*"
         r"|ModuleNotFoundError.*conda", "module_error", "weak", "{0}"),
        (r"(?:.*: )?(?:line \d+: )?[\w./-]+: (?:command not found|No such file or directory)$", "module_error", "weak", "{0}"),
        (r".*(?:No space left on device|[Dd]isk quota exceeded).*", "disk_full", "weak", "{0}"),
        (r"^forrtl: .*|^STOP .*", "crash", "application", "{0}"),
    )
]  # fmt: skip


def read(text: str) -> list[Event]:
    """Read one line; at most one rule holds."""
    for pattern, outcome, level, sentence in RULES:
        if match := pattern.search(text):
            first = match[1] if match.re.groups and match[1] else match[0]
            return [Sign(outcome, level, sentence.format(match[0].strip()[:300], first))] if sentence else []
    return []
