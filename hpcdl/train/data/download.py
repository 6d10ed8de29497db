"""Downloading a file of a data set from the first mirror that has the right one."""

import zlib
from collections.abc import Callable, Iterable
from urllib.error import URLError
from urllib.request import urlopen

TIMEOUT_S = 20


def download(addresses: Iterable[str], fault: Callable[[bytes], str | None]) -> tuple[bytes | None, str]:
    """Return the content behind the first address that passes, None if none does, and what the others answered.

    Args:
        fault: says what is wrong with a content, None when it is the right one.
    """
    answers: list[str] = []
    for address in addresses:
        try:
            with urlopen(address, timeout=TIMEOUT_S) as answer:
                content = answer.read()
            wrong = fault(content)
        except (OSError, EOFError, zlib.error, ValueError) as error:
            wrong = str(error.reason if isinstance(error, URLError) else error)
        if wrong is None:
            return content, "; ".join(answers)
        answers.append(f"{address}: {wrong}")
    return None, "; ".join(answers)
