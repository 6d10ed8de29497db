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
CONSEQUENCES = ("ChildFailedError", "HorovodInternalError", "BrokenPipeError", "ConnectionResetError", "CalledProcessError",
                "SignalException", "DistBackendError", "ProcessExitedException", "ProcessRaisedException", "UnavailableError")  # fmt: skip
OOM_GPU = re.compile(
    r"CUDA (?:error: )?out of memory|OutOfMemoryError|ResourceExhausted|RESOURCE_EXHAUSTED|OOM when allocating|"
    r"HIP out of memory|CUDA_ERROR_OUT_OF_MEMORY|CUBLAS_STATUS_ALLOC_FAILED|cudaErrorMemoryAllocation"
)
DISK = re.compile(r"Errno 28\]|Errno 122\]|No space left on device|Disk quota exceeded")


def reader() -> tuple[tuple[str, ...], Callable[[str], list[Event]]]:
    """Return triggers and a function that reads one file's lines in order; it remembers an open traceback."""
    state = {"open": 0, "harmless": False, "setup": False, "indented": False, "before": ""}

    def read(text: str) -> list[Event]:
        if START in text:
            harmless = bool(HARMLESS.search(str(state["before"])))
            state.update(open=1, harmless=harmless, setup=False, indented=False, before=text)
            return []
        if not state["open"]:
            state["before"] = text
            return []
        state["open"] = int(state["open"]) + 1
        if text[0] in " \t|+" or text.startswith("File "):
            state["indented"] = True
            state["setup"] = state["setup"] or bool(SETUP.search(text))
            return []
        match = EXCEPTION.match(text)
        if match and (
            NAMED.fullmatch(match[1]) or (state["indented"] and (match[2] is not None or match.end() == len(text)))
        ):
            state["open"] = 0
            state["before"] = text
            return [_sign(match[1], match[2] or "", text, bool(state["harmless"]), bool(state["setup"]))]
        if int(state["open"]) > LONGEST:
            state["open"] = 0
        return []

    return ("",), read


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
