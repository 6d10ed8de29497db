"""What several subjects' tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """The folder of the real MNIST. Where it is not there the test is skipped, in CI it fails."""
    folder = Path(os.environ.get("HPCDL_DATA", "")) / "mnist"
    if os.environ.get("HPCDL_DATA") and folder.is_dir():
        return folder
    message = "the real MNIST is not there: set HPCDL_DATA to the folder that holds mnist/"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
