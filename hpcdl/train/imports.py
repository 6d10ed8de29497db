"""The start of a rank: TensorFlow and Keras without what they take along when they find it."""

import gc
import sys
from typing import Any

TAKEN_ALONG = ("matplotlib", "pandas", "sklearn")
"""Keras tries to import them for its plots, its data frames and its scikit-learn wrappers, which a training does not
use; they are two fifths of the processor time of `import tensorflow`."""


def import_tensorflow() -> None:
    """Import TensorFlow, and Keras with it, without those libraries. Whoever imports them afterwards gets them.

    Python's search for cyclic garbage stands still meanwhile, and leaves what is there then alone for ever: modules and
    their functions stay to the end, and walking them again and again is a sixth of the import.
    """
    hidden: dict[str, Any] = dict.fromkeys(name for name in TAKEN_ALONG if name not in sys.modules)
    sys.modules.update(hidden)  # None there means: not installed
    collecting = gc.isenabled()
    gc.disable()
    try:
        import tensorflow  # noqa: F401
    finally:
        for name in hidden:
            del sys.modules[name]
        gc.freeze()
        if collecting:
            gc.enable()
