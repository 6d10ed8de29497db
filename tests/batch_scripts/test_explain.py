"""`hpcdl explain`: what Slurm will understand, for people and for programs."""

import json

import pytest
from typer.testing import CliRunner

from hpcdl.cli import app
from hpcdl.slurm.explain import duration_in_words, size_in_words

SCRIPT = """#!/bin/bash
#SBATCH --nodes=2 --time=24:00
#SBATCH --mem=16
#SBATCH -J "my job"
srun hostname
#SBATCH --ntasks=9
"""


@pytest.fixture(autouse=True)
def _no_slurm_here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "none"))
    monkeypatch.delenv("SBATCH_PARTITION", raising=False)


def run(*arguments):
    return CliRunner().invoke(app, ["explain", *arguments])


def explain(tmp_path, text, *arguments):
    path = tmp_path / "job.sh"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return run(str(path), *arguments)


def as_json(tmp_path, text, *arguments):
    result = explain(tmp_path, text, "--format", "json", *arguments)
    return json.loads(result.stdout), result.exit_code


def test_json_names_value_line_and_source(tmp_path):
    data, code = as_json(tmp_path, SCRIPT)
    assert code == 0
    assert data["accepted"] is True
    assert data["error"] is None
    assert set(data["options"]) == {"nodes", "time", "mem", "job-name"}
    assert {key: data["options"]["nodes"][key] for key in ("value", "line", "source")} == {
        "value": "2",
        "line": 2,
        "source": "script",
    }
    assert data["options"]["time"]["value"] == "24:00"
    assert data["options"]["time"]["understood"] == "00:24:00"
    assert data["options"]["job-name"] == {
        "value": "my job",
        "line": 4,
        "source": "script",
        "origin": "-J",
        "understood": "my job",
    }


def test_environment_beats_the_script_and_the_command_line_beats_both(tmp_path, monkeypatch):
    monkeypatch.setenv("SBATCH_PARTITION", "long")
    monkeypatch.setenv("SBATCH_TIMELIMIT", "5")
    data, _ = as_json(tmp_path, SCRIPT, "--", "--time=7", "-N3")
    options = data["options"]
    assert (options["partition"]["source"], options["partition"]["origin"]) == ("environment", "SBATCH_PARTITION")
    assert options["partition"]["line"] is None
    assert (options["time"]["value"], options["time"]["source"]) == ("7", "command line")
    assert (options["nodes"]["value"], options["nodes"]["source"]) == ("3", "command line")
    assert options["mem"]["source"] == "script"


def test_a_refused_script_leaves_1_and_says_where(tmp_path):
    data, code = as_json(tmp_path, "#!/bin/bash\n#SBATCH --nodes=1\n#SBATCH --time=24h\n")
    assert code == 1
    assert data["accepted"] is False
    assert data["error_line"] == 3
    assert "24h" in data["error"]


def test_the_table_says_what_it_means(tmp_path):
    result = explain(tmp_path, SCRIPT)
    assert result.exit_code == 0
    assert "at most 24 minutes" in result.stdout
    assert "16 MB for each node" in result.stdout
    assert "line 3" in result.stdout
    assert "ntasks" not in result.stdout


def test_pbs_lines_are_explained(tmp_path):
    data, code = as_json(tmp_path, "#!/bin/bash\n#PBS -l nodes=2:ppn=4,walltime=1:00:00\n")
    assert code == 0
    assert {name: setting["value"] for name, setting in data["options"].items()} == {
        "nodes": "2",
        "ntasks": "8",
        "time": "1:00:00",
    }
    assert data["options"]["ntasks"]["origin"] == "#PBS -l"


def test_every_component_of_a_heterogeneous_job_is_told(tmp_path):
    data, _ = as_json(tmp_path, "#!/bin/bash\n#SBATCH -N1 -t5\n#SBATCH hetjob\n#SBATCH -N2\n")
    assert [component["nodes"]["value"] for component in data["components"]] == ["1", "2"]
    assert data["components"][1]["time"]["value"] == "5"  # a time limit is the whole job's


def test_an_option_without_a_value_has_sbatchs_word_for_it(tmp_path):
    data, _ = as_json(tmp_path, "#!/bin/bash\n#SBATCH --exclusive --hold --requeue --nice\n")
    assert {name: setting["value"] for name, setting in data["options"].items()} == {
        "exclusive": "exclusive",
        "hold": "set",
        "requeue": "requeue",
        "nice": "100",
    }


def test_mail_types_add_up_until_25_05(tmp_path):
    text = "#!/bin/bash\n#SBATCH --mail-type=END\n#SBATCH --mail-type=FAIL\n"
    assert as_json(tmp_path, text)[0]["options"]["mail-type"]["understood"] == "END,FAIL"
    assert as_json(tmp_path, text, "--slurm", "25.05")[0]["options"]["mail-type"]["understood"] == "FAIL"


def test_control_characters_reach_no_terminal(tmp_path):
    result = explain(tmp_path, b"#!/bin/bash\n#SBATCH --comment=\x1b[31m --job-name=\xff\n")
    assert "\x1b[31m" not in result.stdout
    assert result.exit_code == 0


def test_what_is_no_script_is_one_sentence_and_2(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\x7fELF\0\0\0")
    (tmp_path / "utf16").write_text("#!/bin/bash\n", encoding="utf-16")
    (tmp_path / "large").write_bytes(b"#!/bin/bash\n" + b"x" * 34_000_000)
    for name in ("folder", "binary", "utf16", "large", "absent"):
        result = run(str(tmp_path / name))
        assert result.exit_code == 2 or getattr(result.exception, "exit_code", None) == 2
        assert str(tmp_path / name) in str(result.exception)
        assert "\n" not in str(result.exception)


def test_a_wrong_version_names_the_right_ones(tmp_path):
    result = explain(tmp_path, SCRIPT, "--slurm", "21")
    assert "22.05" in str(result.exception)


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ("00:24:00", "24 minutes"),
        ("1-02:00:00", "1 day 2 hours"),
        ("00:00:00", "0 seconds"),
        ("UNLIMITED", "no limit"),
        ("INVALID", "INVALID"),
    ],
)
def test_durations_in_words(shown, words):
    assert duration_in_words(shown) == words


@pytest.mark.parametrize(("shown", "words"), [("16", "16 MB"), ("4G", "4 GB"), ("2T", "2 TB"), ("0?", "0")])
def test_sizes_in_words(shown, words):
    assert size_in_words(shown) == words
