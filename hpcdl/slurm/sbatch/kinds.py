"""The common kinds of options: a text, a number, a flag, a size, a time. Each gives how it is read and shown."""

from collections.abc import Callable

from hpcdl.slurm.sbatch import durations, moments, sizes
from hpcdl.slurm.sbatch.numbers import count, leading_integer
from hpcdl.slurm.sbatch.refusal import Refusal
from hpcdl.slurm.sbatch.request import Request

Read = Callable[[Request, str | None], None]
Show = Callable[[Request], str | None]
UNSET_32 = -2  # NO_VAL of slurm.h in an int, which sbatch prints when another option took the value away


def text(field: str) -> tuple[Read, Show]:
    def read(request: Request, value: str | None) -> None:
        request.fields[field] = value

    return read, lambda request: request.get(field)


def number(field: str, positive: bool = True) -> tuple[Read, Show]:
    def read(request: Request, value: str | None) -> None:
        request.fields[field] = count(value or "", positive=positive)

    return read, lambda request: str(request.get(field, UNSET_32))


def flag(field: str) -> tuple[Read, Show]:
    def read(request: Request, value: str | None) -> None:
        request.fields[field] = True

    return read, lambda request: "set" if request.get(field) else "unset"


def size(field: str) -> tuple[Read, Show]:
    def read(request: Request, value: str | None) -> None:
        request.fields[field] = sizes.megabytes(value or "")

    def show(request: Request) -> str | None:
        size = request.get(field)
        return None if size is None else sizes.show_megabytes(size)

    return read, show


def limit(field: str) -> tuple[Read, Show]:
    def read(request: Request, value: str | None) -> None:
        request.fields[field] = durations.minutes(value or "")

    return read, lambda request: durations.show_minutes(request.fields[field])


def moment(field: str) -> tuple[Read, Show]:
    def read(request: Request, value: str | None) -> None:
        request.fields[field] = moments.moment(value or "", request.surroundings.now)

    return read, lambda request: moments.show_moment(request.fields[field])


def stream(field: str) -> tuple[Read, Show]:
    """A file for a standard stream: `none` is /dev/null; verify() makes the path absolute."""

    def read(request: Request, value: str | None) -> None:
        request.fields[field] = "/dev/null" if (value or "").lower() == "none" else value

    return read, lambda request: request.get(field)


def identity(field: str, look_up: Callable[[str], int]) -> tuple[Read, Show]:
    def read(request: Request, value: str | None) -> None:
        if not request.surroundings.is_root:
            raise Refusal(f"only root may use --{field}", rule="bad-value")
        value = value or ""
        try:
            request.fields[field] = look_up(value)
        except KeyError:
            number, rest = leading_integer(value)
            if number is None or rest or not 0 <= number < 2**32:
                raise Refusal(f"{value!r} is no known {field}", rule="bad-value") from None
            request.fields[field] = number

    return read, lambda request: str(request.get(field))
