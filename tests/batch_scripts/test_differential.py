"""Our reader against the real sbatch 22.05.8: the same answer and the same options on every script.

More scripts: `pytest -m slow`, or a folder of your own: HPCDL_SCRIPTS=FOLDER.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import real_sbatch
import strategies
from hand_scripts import all_scripts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcdl.slurm.directives import Reading, read_script
from hpcdl.slurm.sbatch.configuration import read_configuration
from hpcdl.slurm.sbatch.environment import VARIABLES
from hpcdl.slurm.sbatch.options import NAMELESS
from hpcdl.slurm.sbatch.request import Surroundings

# Those that sbatch -v prints without a name, and the -v that the test itself gives.
NOT_COMPARED = {option.name for option in NAMELESS} | {"verbose", "(null)"}
EXAMPLES = settings(deadline=None, suppress_health_check=list(HealthCheck), database=None)


@pytest.fixture(scope="module")
def sbatch(tmp_path_factory):
    return real_sbatch.start(tmp_path_factory.mktemp("sbatch"))


def read_ours(sbatch: real_sbatch.RealSbatch, script: bytes, arguments=(), extra=None) -> Reading:
    environment = sbatch.environment(extra)
    surroundings = Surroundings(
        environment, sbatch.folder, time.time(), os.getuid() == 0, read_configuration(environment), (22, 5)
    )
    return read_script(script, arguments, surroundings)


def disagreement(sbatch: real_sbatch.RealSbatch, script: bytes, arguments=(), extra=None) -> str | None:
    """Return in words where the two differ, or None."""
    accepted, theirs, printed = sbatch.read(script, arguments, extra)
    reading = read_ours(sbatch, script, arguments, extra)
    if accepted != reading.accepted:
        verdict = "accepts" if accepted else "refuses"
        why = reading.error and reading.error.reason
        return f"sbatch {verdict}, we say {why}: {script!r:.400} {printed!r:.600}"
    if not theirs:
        return None if not accepted else f"no options printed: {script!r:.400}"
    ours = [{name: setting.understood or "" for name, setting in component.items()} for component in reading.components]
    if len(ours) != len(theirs):
        return f"sbatch reads {len(theirs)} components, we {len(ours)}: {script!r:.400}"
    for their, our in zip(theirs, ours, strict=True):
        their = {name: "" if value == "(null)" else value for name, value in their.items()}
        for name in (their.keys() | our.keys()) - NOT_COMPARED:
            if not real_sbatch.same(name, their.get(name), our.get(name)):
                return f"--{name}: sbatch {their.get(name)!r:.200}, we {our.get(name)!r:.200}: {script!r:.400}"
    return None


def assert_no_disagreement(sbatch, scripts) -> None:
    with ThreadPoolExecutor(2) as pool:
        found = [text for text in pool.map(lambda script: disagreement(sbatch, script), scripts) if text]
    assert not found, f"{len(found)} of {len(scripts)} scripts:\n" + "\n".join(found[:10])


def test_hand_written_scripts_are_read_as_sbatch_reads_them(sbatch):
    scripts = all_scripts()
    assert len(scripts) > 200
    assert_no_disagreement(sbatch, scripts)


def test_generated_scripts_are_read_as_sbatch_reads_them(sbatch):
    @settings(EXAMPLES, max_examples=400)
    @given(strategies.scripts())
    def check(script):
        assert disagreement(sbatch, script) is None

    check()


@pytest.mark.slow
def test_thousands_of_generated_scripts_are_read_as_sbatch_reads_them(sbatch):
    @settings(EXAMPLES, max_examples=2000)
    @given(strategies.scripts())
    def check(script):
        assert disagreement(sbatch, script) is None

    check()


# A value that most options of the environment take; the others have one of their own.
ENVIRONMENT_VALUES = {
    "begin": "now",
    "cpu-freq": "high",
    "distribution": "cyclic",
    "exclusive": "user",
    "gpu-bind": "closest",
    "gpu-freq": "low",
    "gres": "gpu:2",
    "gres-flags": "enforce-binding",
    "hint": "multithread",
    "mem-bind": "local",
    "no-kill": "set",
    "open-mode": "append",
    "profile": "task",
    "signal": "USR1",
}


def test_every_variable_of_the_environment_is_read_as_sbatch_reads_it(sbatch):
    script = b"#!/bin/bash\n#SBATCH --time=5 --partition=a\n#SBATCH --nodes=2\n"
    for variable, name in VARIABLES.items():
        if variable == "SBATCH_DEBUG":  # switches the -v off that the test reads
            continue
        for value in (ENVIRONMENT_VALUES.get(name, "1"), "", "no"):
            assert disagreement(sbatch, script, (), {variable: value}) is None, (variable, value)


def test_environment_and_command_line_are_read_as_sbatch_reads_them(sbatch):
    # Words that need no quoting; --quiet would take away what the test reads, help ends sbatch, --wait waits.
    word = strategies.option_words(plain=True).filter(
        lambda text: (
            not any(c in text for c in " '\"\\\t")
            and text[:3] not in ("-Q", "--q", "-W")
            and not text.startswith(("--w", "-V", "-h"))
        )
    )

    @settings(EXAMPLES, max_examples=150)
    @given(strategies.scripts(), strategies.VARIABLES, st.lists(word, max_size=2))
    def check(script, variables, arguments):
        assert disagreement(sbatch, script, arguments, variables) is None

    check()


@pytest.mark.skipif(
    "HPCDL_SCRIPTS" not in os.environ, reason="set HPCDL_SCRIPTS to a folder of batch scripts to compare them all"
)
def test_scripts_of_a_folder_are_read_as_sbatch_reads_them(sbatch):
    assert_no_disagreement(
        sbatch, [path.read_bytes() for path in Path(os.environ["HPCDL_SCRIPTS"]).rglob("*") if path.is_file()]
    )
