"""Errors that a program, the shell, MPI, Horovod or the module system write."""

import re
from typing import NamedTuple

from hpcdl.collector.events import Event, Sign

SIGNALS = r"(Segmentation fault|Bus error|Aborted|Illegal instruction|Floating point exception)"


class Rule(NamedTuple):
    """One wording and what it means."""

    keys: tuple[str, ...]
    """A line without any of these is not searched."""
    pattern: re.Pattern[str]
    outcome: str
    level: str
    """One of events.LEVELS."""
    sentence: str
    """{0} is what the pattern matched, {1} its first group."""


def _rule(keys: str, pattern: str, outcome: str, level: str, sentence: str = "{0}") -> Rule:
    return Rule(tuple(keys.split("|")), re.compile(pattern), outcome, level, sentence)


# In this order: the first that matches holds.
RULES = [
    _rule("not a failure", r"ran out of memory trying to allocate .*", "oom_gpu", "warning"),
    _rule(
        "out of memory|Out of memory|RESOURCE_EXHAUSTED|OOM when",
        r"CUDA out of memory\. Tried to allocate [\d.]+ \w+"
        r"|RESOURCE_EXHAUSTED: (?:Out of memory|Failed to allocate)[^.]*"
        r"|OOM when allocating tensor with shape\[[\d,]*\]|CUDA Error: out of memory",
        *("oom_gpu", "application", "out of memory on the GPU: {0}"),
    ),
    # horovod/horovod#1350: a retry with a smaller size follows
    _rule("CUDA_ERROR_OUT_OF_MEMORY", r"CUDA_ERROR_OUT_OF_MEMORY", "oom_gpu", "warning"),
    _rule(
        "Killed",
        r"(?:^|line \d+:\s+\d+ +)Killed(?:\s|$)",
        *("crash", "signal", "killed (SIGKILL): often for want of memory on the host"),
    ),
    _rule(
        "fault|Bus error|Aborted|Illegal|Floating",
        rf"(?:^|line \d+:\s+\d+ +){SIGNALS}\b(?: \(core dumped\))?(?:\s|$)",
        *("crash", "signal", "{1}"),
    ),
    _rule("Terminated", r"line \d+:\s+\d+ +(Terminated)\b", "crash", "echo", "{1}"),
    _rule("Fatal Python error", r"Fatal Python error: .*", "crash", "application"),
    _rule("terminate called", r"terminate called after throwing an instance of .*", "crash", "application"),
    _rule("Signal: ", rf"Signal: {SIGNALS} \(\d+\)", "crash", "application"),
    _rule("Assertion", r"Assertion .{1,300} failed\.?", "crash", "application"),
    _rule("annot load image|open file", r"^Cannot load image .*|^Couldn't open file: .*", "crash", "application"),
    _rule("can't open file", r"can't open file .*", "crash", "application"),
    _rule("shared libraries", r"error while loading shared libraries: .*", "module_error", "application"),
    _rule(".py: error: ", r"^[\w./-]+\.py: error: .*", "crash", "application"),
    _rule("FATAL", r"^FATAL:\s+.*|^FATAL ERROR.*", "crash", "application"),
    _rule(
        "Watchdog caught",
        r"Watchdog caught collective operation timeout.*",
        "crash",
        "application",
        "a rank stalled: {0}",
    ),
    _rule("forrtl", r"^forrtl: .*", "crash", "application"),
    _rule(
        "MPI_ABORT|Abort(|Fatal error in",
        r"MPI_ABORT was invoked on rank \d+.*|Abort\(-?\d+\) on node \d+ \(rank \d+ in comm \d+\).*"
        r"|Fatal error in P?MPI_\w+.*",
        *("crash", "consequence"),
    ),
    _rule(
        "mpirun|mpiexec|prterun|orterun",
        r"(?:mpirun|mpiexec|prterun|orterun)(?:\.real)? (?:noticed|detected|has exited|was unable|failed with exit).*",
        *("crash", "consequence"),
    ),
    _rule(
        "Primary job|BAD TERMINATION|Horovod detected|exit with status",
        r"Primary job\s+terminated normally, but|BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES"
        r"|Horovod detected that one or more processes exited.*|Process \d+ exit with status code \d+\.",
        *("crash", "consequence"),
    ),
    _rule(
        "Horovod has been shut down",
        r"Horovod has been shut down\. This was caused by an exception.*",
        "crash",
        "consequence",
    ),
    _rule(
        "tensors were submitted|Stalled ops|missing ranks",
        r"One or more tensors were submitted to be reduced.*|^Stalled ops: ?.*|missing ranks: .*",
        *("crash", "stall", "ranks stalled: {0}"),
    ),
    _rule("Lmod has detected", r"Lmod has detected the following error:?.*", "module_error", "weak"),
    _rule("nable to locate a modulefile", r"[Uu]nable to locate a modulefile for .*", "module_error", "weak"),
    _rule(
        ": command not found|: No such file or directory",
        r"^(?:.{0,200}: )?[\w./-]{1,200}: (?:command not found|No such file or directory)$",
        *("module_error", "weak"),
    ),
    _rule(
        "No space left on device|isk quota exceeded",
        r"^.{0,300}(?:No space left on device|isk quota exceeded)",
        "disk_full",
        "weak",
    ),
]
TRIGGERS = tuple(dict.fromkeys(key for rule in RULES for key in rule.keys))


def read(text: str) -> list[Event]:
    """Read one line; at most one rule holds."""
    for rule in RULES:
        if any(key in text for key in rule.keys) and (match := rule.pattern.search(text)):
            first = match[1] if match.re.groups else ""
            return [Sign(rule.outcome, rule.level, rule.sentence.format(match[0].strip()[:300], first))]
    return []
