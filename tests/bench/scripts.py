"""The benches that are programs of their own, with a text of their own in their JSON (harness.write)."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from processes import run

HERE = Path(__file__).parent


class Script:
    """One of them, as the other benches are."""

    plot = None

    def __init__(self, name: str, title: str, options: list[str], quick: list[str]):
        self.TITLE, self._name, self.options, self.quick = title, name, options, quick
        self.program = HERE / f"{name}.py"

    def measure(self, quick: bool) -> dict[str, Any]:
        """Run the program."""
        with tempfile.TemporaryDirectory() as folder:
            options = self.quick if quick else self.options
            run([sys.executable, str(self.program), "-o", f"{folder}/{self._name}", *options])
            found = json.loads(Path(folder, f"{self._name}.json").read_text())
        return {key: value for key, value in found.items() if key not in ("title", "machine", "versions")}

    @staticmethod
    def section(found: dict[str, Any]) -> str:
        """Return the program's own text, its headings one level lower."""
        return str(found["text"]).replace("## ", "### ")
