"""What a rank imports when it starts."""

import subprocess
import sys

PROGRAM = """
import sys
from hpcdl.train.imports import TAKEN_ALONG, import_tensorflow
import_tensorflow()
import hpcdl.train.start, keras, tensorflow
print(*[name for name in TAKEN_ALONG if name in sys.modules])
import matplotlib.pyplot, pandas, sklearn.datasets
print(keras.Sequential([keras.layers.Dense(2)])(tensorflow.ones((1, 3))).shape, len(pandas.DataFrame({"a": [1]})))
"""


def test_a_rank_imports_tensorflow_alone_and_other_libraries_when_they_are_wanted():
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["", "(1, 2) 1"]
