"""What docs/lint.md shows is what the commands print."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hpcdl.cli import app

PAGE = (Path(__file__).parent.parent / "docs" / "lint.md").read_text()


@pytest.mark.parametrize("command", ["explain", "lint"])
def test_the_page_shows_what_the_command_prints(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "none"))
    script = re.search(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert script
    Path("job.sh").write_text(script[1])
    printed = CliRunner().invoke(app, [command, "job.sh"]).stdout
    text = "\n".join(line.rstrip() for line in printed.splitlines())
    assert f"```\n{text}\n```\n" in PAGE
