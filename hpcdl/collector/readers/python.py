"""Python tracebacks: the exception that ended the program, and whether it could have."""

import re
from collections.abc import Callable

from hpcdl.collector.events import Event, Sign

START = "Traceback (most recent call last)"
EXCEPTION = re.compile(r"([A-Za-z_][\w.]*)(?:: ?(.*))?")
NAMED = re.compile(r"[\w.]*(?:Error|Exception|Interrupt|Exit|Warning|Conflict|Timeout|Failure|NotFound)\b")
HARMLESS = re.compile(r"Exception ignored in|Exception in thread|Error in atexit|--- Logging error ---")
SETUP = re.compile(
    r'File ".*(?:/pip/|/setuptools/|/pkg_resources/|setup\.py"|easy_install|/distutils/|/conda/(?:cli|core|exceptions))'
)
LONGEST = 400
"""Lines of a traceback; what goes on for longer is none."""

# Exceptions that another process's end brings about.
CONSEQUENCES = (
    *("ChildFailedError", "HorovodInternalError", "BrokenPipeError", "ConnectionResetError", "CalledProcessError"),
    *("SignalException", "DistBackendError", "ProcessExitedException", "ProcessRaisedException", "UnavailableError"),
)
OOM_GPU = re.compile(
    r"CUDA (?:error: )?out of memory|OutOfMemoryError|ResourceExhausted|RESOURCE_EXHAUSTED|OOM when allocating|"
    r"HIP out of memory|CUDA_ERROR_OUT_OF_MEMORY|CUBLAS_STATUS_ALLOC_FAILED|cudaErrorMemoryAllocation"
)
DISK = re.compile(r"Errno 28\]|Errno 122\]|No space left on device|Disk quota exceeded")


class Tracebacks:
    """Reads the lines of one file in order and remembers an open traceback."""

    def __init__(self) -> None:
        self.lines = 0
        """Lines of the open traceback so far; 0 where none is open."""
        self.harmless = self.setup = self.indented = False
        self.before = ""

    def read(self, text: str) -> list[Event]:
        """Return the exception that ends the open traceback, if this line is it."""
        if START in text:
            self.lines, self.harmless = 1, bool(HARMLESS.search(self.before))
            self.setup = self.indented = False
            return []
        if not self.lines:
            self.before = text
            return []
        self.lines += 1
        if text[0] in " \t|+" or text.startswith("File "):
            self.indented = True
            self.setup = self.setup or bool(SETUP.search(text))
            return []
        match = EXCEPTION.match(text)
        if match and (
            NAMED.fullmatch(match[1]) or (self.indented and (match[2] is not None or match.end() == len(text)))
        ):
            self.lines, self.before = 0, text
            return [_sign(match[1], match[2] or "", text, self.harmless, self.setup)]
        if self.lines > LONGEST:
            self.lines = 0
        return []


def reader() -> tuple[tuple[str, ...], Callable[[str], list[Event]]]:
    """Return triggers and a function that reads one file's lines in order."""
    return ("",), Tracebacks().read


def _sign(name: str, message: str, text: str, harmless: bool, setup: bool) -> Sign:
    short = name.rpartition(".")[2]
    cause = f"{short}: {message}".removesuffix(": ")[:300]
    if harmless or setup or short in ("SystemExit", "GeneratorExit") or short.endswith("Warning"):
        return Sign("crash", "warning", cause, text)
    if short == "KeyboardInterrupt":
        return Sign("cancelled", "application", "interrupted (KeyboardInterrupt)", text)
    if OOM_GPU.search(text):
        return Sign("oom_gpu", "application", f"out of memory on the GPU: {cause}", text)
    if short == "MemoryError" or "Cannot allocate memory" in message or "DefaultCPUAllocator" in message:
        return Sign("oom_host", "application", f"out of memory on the host: {cause}", text)
    if DISK.search(text):
        return Sign("disk_full", "application", cause, text)
    followed = short in CONSEQUENCES or "Horovod has been shut down" in message
    return Sign("crash", "consequence" if followed else "application", cause, text)
