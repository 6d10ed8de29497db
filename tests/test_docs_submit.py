"""docs/submit.md names the commands, files and states that there are."""

import re
from pathlib import Path

import typer.main

from hpcdl.cli import app
from hpcdl.run import known, record, submission, submit
from hpcdl.run.attempts import ATTEMPTS_FOLDER
from hpcdl.run.states import State

PAGE = (Path(__file__).parent.parent / "docs" / "submit.md").read_text()


def test_every_state_is_explained():
    table = PAGE.partition("| state | meaning |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([A-Z_]+)`", table)) == {state.value for state in State}


def test_the_commands_are_there_with_these_options():
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for line in re.findall(r"^hpcdl .*?(?=  +#)", PAGE, re.MULTILINE):
        name, *words = line.split()[1:]
        options = {option for parameter in commands[name].params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= options, line


def test_the_files_of_a_run_have_these_names():
    names = (known.ANSWER_FILE, record.RECORD_FILE, submission.SUBMISSIONS_FILE, submit.SCRIPT_FILE, submit.DIFF_FILE)
    for name in (*names, f"{ATTEMPTS_FOLDER}/", f"{submit.SITE_FOLDER}/NAME.yaml"):
        assert f"`{name}`" in PAGE, name
