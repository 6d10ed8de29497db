"""What all tests share: the golden files, a clean place for the user's settings, the real data."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regold", action="store_true", help="write the golden files anew; review their diff")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with tests/golden/NAME, line by line and to the last line; a missing file fails."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--regold"):
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path} is missing; write it with `pytest --regold` and review it"
        assert text.splitlines(keepends=True) == path.read_text(encoding="utf-8").splitlines(keepends=True)

    return check


@pytest.fixture(autouse=True)
def _settings_of_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The settings of whoever runs the tests must not change what they see."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))


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
