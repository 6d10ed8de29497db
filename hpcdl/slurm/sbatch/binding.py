"""What a task is bound to and how fast it runs: memory, GPUs, frequencies, hints.

Facts from slurm_resource_info.c, tres_bind.c, tres_frequency.c, cpu_frequency.c and proc_args.c of Slurm 22.05.8.
"""

import re

from hpcdl.slurm.sbatch.numbers import LONG_MAX, leading_integer
from hpcdl.slurm.sbatch.refusal import Refusal

HINTS = ("compute_bound", "memory_bound", "multithread", "nomultithread")
_MEMORY_FLAGS = ("verbose", "prefer", "sort")
_MEMORY_TYPES = {"none": "none", "no": "none", "rank": "rank", "local": "local"}
_HEX_FIELD = re.compile(r"[0-9a-fA-F]*(,|$)")

_GOVERNORS = {"co": "Conservative", "perf": "Performance", "pow": "PowerSave", "user": "UserSpace", "onde": "OnDemand"}
_GOVERNORS["sche"] = "SchedUtil"
# Named frequencies sort above every number of kHz, in this order.
_FREQUENCIES = {"lo": "Low", "him1": "Highm1", "highm1": "Highm1", "hi": "High", "med": "Medium"}
_FREQUENCY_ORDER = ("Low", "Medium", "High", "Highm1")


def hints(text: str) -> list[str]:
    """Return the words of --hint.

    Raises:
        Refusal: a word is no hint (`help` ends sbatch too).
    """
    words = re.split(r";|,(?![0-9])", text)
    for word in words:
        if word.lower() not in HINTS:
            raise Refusal(f"{word!r} is no hint; allowed: {', '.join(HINTS)}", option="hint", rule="bad-value")
    return [word.lower() for word in words]


def memory_binding(text: str, flags: frozenset[str]) -> tuple[frozenset[str], str | None]:
    """Read --mem-bind on top of the flags of an earlier one.

    Returns:
        The flags with the type of binding among them, and the expanded list of a map or mask.

    Raises:
        Refusal: a word is unknown, or a list is no list.
    """
    kept = set(flags)
    places: str | None = None
    for word in _memory_words(text):
        lower = word.lower()
        if lower in ("p", "prefer"):
            kept.add("prefer")
        elif lower in ("sort", "nosort"):
            kept = kept - {"sort"} | ({"sort"} if lower == "sort" else set())
        elif lower in ("q", "quiet"):
            kept.discard("verbose")
        elif lower in ("v", "verbose"):
            kept.add("verbose")
        elif lower in _MEMORY_TYPES:
            kept, places = kept & set(_MEMORY_FLAGS) | {_MEMORY_TYPES[lower]}, None
        elif match := re.match(r"(map|mask)_?mem", lower):
            kind = f"{match.group(1)}_mem"
            fields = re.split(r"[:=]", word)
            kept = kept & set(_MEMORY_FLAGS) | {kind}
            places = _expanded(fields[1] if len(fields) > 1 else "", kind)
        else:
            raise Refusal(f"{word!r} is no memory binding", rule="bad-value")
    return frozenset(kept), places


def _memory_words(text: str) -> list[str]:
    """Split at the commas that do not part two values of a list."""
    words, begin = [], 0
    for index, character in enumerate(text):
        following = text[index + 1 : index + 2]
        if character == "," and not (following.isascii() and following.isdigit()):
            if _HEX_FIELD.match(text, index + 1):
                continue
            words.append(text[begin:index])
            begin = index + 1
    words.append(text[begin:])
    return [piece for word in words for piece in word.split(";")]


def _expanded(places: str, kind: str) -> str:
    """Write out the repetitions: `0*2,1` becomes `0,0,1`."""
    digits = re.compile(r"[0-9a-fA-F]*" if kind == "mask_mem" else r"[0-9]*")
    result: list[str] = []
    for field in filter(None, places.split(",")):
        value, star, times = field.partition("*")
        value = value.removeprefix("0x") if kind == "mask_mem" else value
        number = leading_integer(times)[0] if times.isascii() and times.isdigit() else None
        if not digits.fullmatch(value) or (star and not number):
            raise Refusal(f"{places!r} is no list for {kind}", rule="bad-value")
        result += [value] * (number or 1)
    if not places:
        raise Refusal(f"{kind} needs a list", rule="bad-value")
    return ",".join(result)


def show_memory_binding(flags: frozenset[str], places: str | None) -> str:
    """Return a memory binding the way `sbatch -v` prints it."""
    order = (*_MEMORY_FLAGS, "none", "rank", "local", "map_mem", "mask_mem")
    shown = ",".join(name for name in order if name in flags)
    if not shown:
        return "unset"
    return f"{shown}:{places}" if places else shown


def check_gpu_binding(text: str) -> None:
    """Check --gpu-bind.

    Raises:
        Refusal: it is no binding that sbatch lets through.
    """
    for part in filter(None, f"gpu:{text}".split(";")):
        name, colon, kind = part.partition(":")
        if name != "gpu" or not colon or not _is_gpu_binding(kind):
            raise Refusal(
                f"{text!r} is no GPU binding: closest, none, map_gpu:LIST, mask_gpu:LIST, per_task:N, single:N",
                rule="bad-value",
            )


def _is_gpu_binding(kind: str) -> bool:
    lower = kind.lower()
    if lower.startswith("verbose,"):
        kind, lower = kind[8:], lower[8:]
    if lower[:1] in ("c", "n"):  # 22.05.8 compares one letter of "closest" and "none"
        return True
    for prefix in ("map_gpu:", "mask_gpu:"):
        if lower.startswith(prefix):
            return _is_number_list(kind[len(prefix) :], hexadecimal=prefix == "mask_gpu:")
    for prefix in ("per_task:", "single:"):
        if lower.startswith(prefix):
            number, _ = leading_integer(kind[len(prefix) :])
            return 0 <= (number or 0) < LONG_MAX
    return False


def _is_number_list(text: str, hexadecimal: bool) -> bool:
    digits = "[0-9a-fA-F]" if hexadecimal else "[0-9]"
    prefix = "(?:0x)?" if hexadecimal else ""
    return all(re.fullmatch(rf"{prefix}{digits}*(\*[0-9]*)?", field) for field in text.split(",") if field)


def check_gpu_frequency(text: str) -> None:
    """Check --gpu-freq.

    Raises:
        Refusal: it is no frequency.
    """
    for part in filter(None, f"gpu:{text}".split(";")):
        name, colon, values = part.partition(":")
        good = name == "gpu" and colon and values and all(map(_is_gpu_frequency, filter(None, values.split(","))))
        if not good:
            raise Refusal(
                f"{text!r} is no GPU frequency; allowed: low, medium, high, highm1 or MHz, memory=..., verbose",
                rule="bad-value",
            )


def _is_gpu_frequency(text: str) -> bool:
    name, equals, value = text.partition("=")
    if equals:
        return name == "memory" and _is_level(value)
    return text == "verbose" or _is_level(text)


def _is_level(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9]+|low|medium|high|highm1", text)) and not (
        text.isdigit() and int(text[:30]) >= LONG_MAX
    )


def cpu_frequency(text: str, governors: frozenset[str]) -> tuple[str | int | None, str | int | None, str | None]:
    """Read --cpu-freq.

    Args:
        text: `FREQUENCY`, `GOVERNOR`, `LEAST-MOST` or `LEAST-MOST:GOVERNOR`; numbers are kHz.
        governors: those that slurm.conf allows (CpuFreqGovernors), such as "OnDemand".

    Returns:
        The least and the most frequency, and the governor; None is "not asked for".

    Raises:
        Refusal: it is none of these, or the governor is not allowed.
    """
    bad = Refusal(
        f"{text!r} is no CPU frequency; allowed: kHz, low, medium, highm1, high, a governor", rule="bad-value"
    )
    before_colon, colon, second_governor = text.partition(":")
    if "-" in text:
        first, _, second = text.partition("-")
        if colon and text.index(":") > text.index("-"):
            second = text[text.index("-") + 1 : text.index(":")]
    else:
        first, second = before_colon, None
    least: str | int | None = None
    most: str | int | None = None
    governor = _named(first, _GOVERNORS)
    if governor:
        if colon:
            raise bad
    else:
        most = _frequency(first, bad)
    if second is not None:
        least, most = most, _frequency(second, bad)
        if _rank(most) < _rank(least):
            raise Refusal(f"{text!r}: the least frequency is above the most", rule="bad-value")
    if colon:
        governor = _named(second_governor, _GOVERNORS) if second is not None else None
        if not governor:
            raise bad
    if governor and governor not in governors:
        raise Refusal(f"the governor {governor} is not allowed (CpuFreqGovernors of slurm.conf)", rule="bad-value")
    return least, most, governor


def _named(text: str, names: dict[str, str]) -> str | None:
    lower = text.lower()
    return next((name for prefix, name in names.items() if lower.startswith(prefix)), None)


def _frequency(text: str, bad: Refusal) -> str | int:
    name = _named(text, _FREQUENCIES)
    if name:
        return name
    number, _ = leading_integer(text)
    number = (number or 0) % 2**32
    if not number:
        raise bad
    return number


def _rank(frequency: str | int | None) -> int:
    if frequency is None:
        return 0xFFFFFFFE
    return frequency if isinstance(frequency, int) else 0x80000001 + _FREQUENCY_ORDER.index(frequency)


def show_cpu_frequency(least: str | int | None, most: str | int | None, governor: str | None) -> str | None:
    """Return a CPU frequency the way `sbatch -v` prints it."""
    if least is not None and most is not None:
        return f"{least}-{most}" + (f":{governor}" if governor else "")
    if most is not None:
        return str(most)
    return governor
