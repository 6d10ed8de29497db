"""Keeping TensorFlow's start-up notices out of `mnist_err`, and nothing else."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

NOTICE = re.compile(rb"WARNING: All log messages before absl::InitializeLog|I\d{4} \d\d:\d\d:\d\d")
"""Lines of absl's log at level I, and its own first line. They come from C++ before any level can be set."""


@contextmanager
def without_notices() -> Iterator[None]:
    """Drop absl's notices that reach standard error inside this context; all other lines come through at its end."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as caught:
        real = os.dup(2)
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(real, 2)
            os.close(real)
            caught.seek(0)
            for line in caught:
                if not NOTICE.match(line):
                    os.write(2, line)
