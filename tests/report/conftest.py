"""A real browser for the page: headless Chromium, Debian's, driven by Playwright."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from hpcdl.sandbox import packages

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Start the browser; install Debian's where that is possible, otherwise skip, or fail in CI."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        with open(Path(tempfile.gettempdir()) / "hpcdl-tests-apt.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # test workers side by side wait for the first of them
            if not _program():
                packages.install(["chromium"])
    program = _program()
    if not program:
        message = "no Chromium to open the page with; on Debian: apt-get install chromium"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    with sync_playwright() as playwright:
        # Chromium's own sandbox refuses root; containers have a small /dev/shm.
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        yield browser
        browser.close()


def _program() -> str | None:
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)
