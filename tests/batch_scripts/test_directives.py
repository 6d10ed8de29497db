"""The reader by itself: the corners, where no sbatch is at hand; test_differential.py proves them against one."""

import time
from pathlib import Path

import pytest

from hpcdl.slurm.directives import read_script
from hpcdl.slurm.sbatch.configuration import Configuration, read_configuration
from hpcdl.slurm.sbatch.durations import seconds
from hpcdl.slurm.sbatch.hostlist import read_hosts, unique, write_hosts
from hpcdl.slurm.sbatch.moments import moment
from hpcdl.slurm.sbatch.refusal import Refusal
from hpcdl.slurm.sbatch.request import Surroundings
from hpcdl.slurm.sbatch.sizes import megabytes, show_megabytes
from hpcdl.slurm.sbatch.words import split_words
from hpcdl.slurm.versions import KNOWN


def read(body, arguments=(), environment=None, version=(22, 5), configuration=None):
    surroundings = Surroundings(
        environment or {}, Path("/work"), time.time(), False, configuration or Configuration(), version
    )
    return read_script(f"#!/bin/bash\n{body}\n".encode(), arguments, surroundings)


def words(text):
    return [word.text for word in split_words(text, 0, 1)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--a=1 -b 2", ["--a=1", "-b", "2"]),
        ("--a='x y' \"z\"w", ["--a=x y", "zw"]),
        ("--a=b#c d", ["--a=b"]),
        ("--a=b\\#c d", ["--a=b#c", "d"]),
        ("--a=b\\ c", ["--a=b", "c"]),
        ("'it\\'s'", ["it's"]),
        ('--a "" --b', ["--a"]),
        ("--a hetjob --b", ["--a"]),
        ("--a\\", ["--a"]),
        ("a\u00a0b", ["a\u00a0b"]),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


@pytest.mark.parametrize("text", ["'open", '"open', "'a\\", "--a :x"])
def test_words_that_end_sbatch(text):
    with pytest.raises(Refusal):
        split_words(text, 0, 1)


def test_columns_point_at_the_words():
    assert [(word.line, word.column) for word in split_words("#SBATCH --a 'b'", 7, 3)] == [(3, 9), (3, 13)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10", 600),
        ("24:00", 1440),
        ("1:2:3", 3723),
        ("1-2", 93600),
        ("1-2:3", 93780),
        ("1-2:3:4", 93784),
        ("0", 0),
        ("UNLIMITED", -1),
        ("24h", None),
        ("1:2:3:4", None),
        ("1:", None),
        ("1-2-3", None),
        ("", None),
    ],
)
def test_durations(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize(
    ("text", "size", "shown"),
    [
        ("16", 16, "16"),
        ("1024", 1024, "1G"),
        ("4g", 4096, "4G"),
        ("1500K", 2, "2"),
        ("2TB", 2**21, "2T"),
        ("0", 0, "0?"),
    ],
)
def test_sizes(text, size, shown):
    assert megabytes(text) == size
    assert show_megabytes(size) == shown


@pytest.mark.parametrize("text", ["1.5G", "G", "-1", "4 G", "4Gi", ""])
def test_no_sizes(text):
    with pytest.raises(Refusal):
        megabytes(text)


def test_moments():
    now = time.mktime((2030, 6, 15, 12, 0, 0, 0, 0, -1))
    at = {
        "now+2hours": (2030, 6, 15, 14, 0),
        "16:00": (2030, 6, 15, 16, 0),
        "9:00": (2030, 6, 16, 9, 0),
        "tomorrow": (2030, 6, 16, 0, 0),
        "0101": (2031, 1, 1, 0, 0),
        "12/31-4:30pm": (2030, 12, 31, 16, 30),
        "2031-02-03T04:05": (2031, 2, 3, 4, 5),
    }
    for text, expected in at.items():
        assert time.localtime(moment(text, now))[:5] == expected
    for text in ("never", "25:00", "2030-13-01", "now+", "", "Tomorrow"):
        with pytest.raises(Refusal):
            moment(text, now)


def test_hosts():
    assert write_hosts(unique(read_hosts("n[3-4],n[1-3],m"))) == "m,n[1-4]"
    assert sum(map(len, read_hosts("rack[1-2]node[01-10]"))) == 20
    for text in ("n[4-1]", "n[1-", "n[a]", "n[1]x"):
        if text == "n[1-":
            assert write_hosts(read_hosts(text)) == "n]"
            continue
        with pytest.raises(Refusal):
            read_hosts(text)


def test_values_and_lines():
    reading = read("#SBATCH -N 2 # two\nhostname\n#SBATCH --ntasks=4")
    assert {name: (setting.value, setting.line) for name, setting in reading.options.items()} == {"nodes": ("2", 2)}


def test_the_last_of_two_counts_and_names_the_first():
    setting = read("#SBATCH --time=5\n#SBATCH --time=6").options["time"]
    assert (setting.value, setting.line, setting.repeated) == ("6", 3, (2,))


def test_environment_flags_are_switched_by_yes_and_numbers():
    assert "wait" in read("", environment={"SBATCH_WAIT": ""}).options
    assert "wait" in read("", environment={"SBATCH_WAIT": "1"}).options
    assert "wait" not in read("", environment={"SBATCH_WAIT": "no"}).options
    assert "exclusive" in read("", environment={"SBATCH_EXCLUSIVE": ""}).options


def test_memory_of_the_script_drops_that_of_the_environment():
    assert set(read("#SBATCH --mem=1G", environment={"SBATCH_MEM_PER_CPU": "1G"}).options) == {"mem"}


def test_a_refusal_names_line_option_and_rule():
    error = read("#SBATCH -N 1\n#SBATCH --mem=x").error
    assert (error.line, error.option, error.rule) == (3, "mem", "bad-size")


def test_only_root_may_choose_a_user():
    assert not read("#SBATCH --uid=0").accepted


def test_slurm_conf_says_which_resources_there_are(tmp_path):
    path = tmp_path / "slurm.conf"
    path.write_text("# a comment\nGresTypes=gpu,nvme # two\nselecttype=select/cons_tres CpuFreqGovernors=PowerSave\n")
    found = read_configuration({"SLURM_CONF": str(path)})
    assert found == Configuration(frozenset({"gpu", "nvme"}), True, frozenset({"PowerSave"}), False)
    assert read("#SBATCH --gres=nvme:1", configuration=found).accepted
    assert not read("#SBATCH --gres=nvme:1").accepted
    path.write_text("GresTypes=gpu\n")
    linear = read_configuration({"SLURM_CONF": str(path)})
    assert not read("#SBATCH --gpus=1", configuration=linear).accepted
    assert read("#SBATCH --gpus-per-node=1", configuration=linear).accepted


@pytest.mark.parametrize(
    ("body", "accepted_by"),
    [
        # (option, first version that takes it or refuses it) from the tags named in hpcdl/slurm/sbatch/history.py
        ("#SBATCH --tres-per-task=gres/gpu:1", lambda version: version >= (23, 2)),
        ("#SBATCH --segment=2", lambda version: version >= (24, 5)),
        ("#SBATCH --power=level", lambda version: version < (24, 5)),
        ("#SBATCH --exclusive --oversubscribe", lambda version: version < (23, 2)),
        ("#SBATCH --exclusive=topo", lambda version: version >= (24, 5)),
        ("#SBATCH --nodes=1,4-8", lambda version: version >= (23, 2)),
        ("#SBATCH --nodes=1,x", lambda version: False),
        ("#SBATCH --cpus-per-task=4 --cpus-per-gpu=2", lambda version: False),
        ("#SBATCH --get-user-env=10", lambda version: version < (25, 5)),
        ("#SBATCH --requeue=expedite", lambda version: version >= (25, 11)),
        ("#SBATCH --gres=gpu:4 --gpus-per-node=4", lambda version: version < (26, 5)),
        ("#SBATCH --gres-flags=disable-binding,one-task-per-sharing", lambda version: version >= (23, 11)),
        ("#SBATCH --nodes=2 --time=10", lambda version: True),
    ],
)
def test_versions(body, accepted_by):
    for version in KNOWN:
        assert read(body, version=version).accepted == accepted_by(version), version
