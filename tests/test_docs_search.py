"""The page on searches shows the file that is shipped and what the command prints."""

import re
import subprocess
import sys
from pathlib import Path

from hpcdl.search.section import CROSSOVER_RATE, ELITISM

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "search.md").read_text()


def test_the_page_shows_the_shipped_search():
    (shown,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert shown == (ROOT / "jobs" / "search.yaml").read_text()


def test_the_page_shows_what_a_dry_run_prints():
    (shown,) = re.findall(r"^```console\n\$ hpcdl (.*?)```", PAGE, re.MULTILINE | re.DOTALL)
    words, _, printed = shown.partition("\n")
    done = subprocess.run(
        [sys.executable, "-m", "hpcdl", *words.split()], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == (printed, "")


def test_the_page_tells_the_defaults():
    assert f"`elitism` ({ELITISM})" in PAGE
    assert f"`crossover_rate`, {CROSSOVER_RATE}" in PAGE
