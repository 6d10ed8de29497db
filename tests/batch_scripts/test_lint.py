"""`hpcdl lint`: formats, exit codes, comments that silence, bad input, and fixes."""

import json
import os
import stat

import pytest
from typer.testing import CliRunner

from hpcdl.cli import app
from hpcdl.slurm.lint import check

VERSION = (22, 5)
BAD = "#!/bin/bash\n#SBATCH --time=24:00\n#SBTACH --nodes=2\n#SBATCH -p=gpu\n"
CLEAN = "#!/bin/bash\n#SBATCH --time=01:00:00\nsrun hostname\n"


def lint(*arguments):
    return CliRunner().invoke(app, ["lint", *map(str, arguments)])


def rules(text, version=VERSION):
    data = text if isinstance(text, bytes) else text.encode()
    return {finding.rule for finding in check.lint(data, version)}


@pytest.fixture
def bad(tmp_path):
    path = tmp_path / "bad.sh"
    path.write_text(BAD)
    return path


@pytest.fixture
def clean(tmp_path):
    path = tmp_path / "clean.sh"
    path.write_text(CLEAN)
    return path


def test_exit_codes(bad, clean, tmp_path):
    assert lint(clean).exit_code == 0
    assert lint(clean, bad).exit_code == 1
    assert lint(bad, tmp_path / "absent.sh").exit_code == 2
    assert lint(tmp_path).exit_code == 2


def test_text_has_place_rule_why_and_fix(bad):
    out = lint(bad).stdout
    assert f"{bad}:2:9: warning[minutes-not-hours]: 24:00 means 24 minutes" in out
    assert "write 24:00:00 for hours" in out
    assert f"{bad}:4:9: warning[short-equals]" in out


def test_json(bad):
    rows = json.loads(lint(bad, "--format", "json").stdout)
    assert [(row["rule"], row["line"], row["column"], row["fixable"]) for row in rows] == [
        ("minutes-not-hours", 2, 9, False),
        ("misspelt-marker", 3, 1, True),
        ("short-equals", 4, 9, True),
    ]


def test_json_of_a_clean_script_is_an_empty_list(clean):
    assert json.loads(lint(clean, "--format", "json").stdout) == []


def test_sarif_has_what_code_scanning_needs(bad):
    sarif = json.loads(lint(bad, "--format", "sarif").stdout)
    assert sarif["version"] == "2.1.0"
    run = sarif["runs"][0]
    known = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert {result["ruleId"] for result in run["results"]} <= known
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": str(bad)}, "region": {"startLine": 2, "startColumn": 9}}


def test_github_annotations_are_one_line_each(bad):
    lines = lint(bad, "--format", "github").stdout.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"::warning file={bad},line=2,col=9,title=minutes-not-hours::")


def test_a_bad_script_does_not_hide_the_others(bad, tmp_path):
    result = lint(tmp_path / "absent.sh", bad)
    assert "short-equals" in result.stdout
    assert "cannot read" in result.output


def test_an_unreadable_script_is_one_sentence(tmp_path):
    (tmp_path / "binary").write_bytes(b"\x7fELF\0\0")
    result = lint(tmp_path / "binary")
    assert result.exit_code == 2
    assert result.output.strip().count("\n") == 0


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_script_without_permission_is_one_sentence(tmp_path):
    path = tmp_path / "secret.sh"
    path.write_text(CLEAN)
    path.chmod(0)
    assert "Permission denied" in lint(path).output


def test_comments_silence_a_rule_on_their_line_or_the_next():
    assert rules("#!/bin/bash\n#SBATCH --time=24:00 # hpcdl: ignore[minutes-not-hours]\n") == set()
    assert rules("#!/bin/bash\n# hpcdl: ignore[minutes-not-hours]\n#SBATCH --time=24:00\n") == set()
    assert rules("#!/bin/bash\n#SBATCH --time=24:00 # hpcdl: ignore\n") == set()
    assert rules("#!/bin/bash\n#SBATCH --time=24:00 # hpcdl: ignore[no-time-limit]\n") == {"minutes-not-hours"}
    assert rules("#!/bin/bash\n#SBATCH --mem=16 # hpcdl: ignore[small-memory, x]\n#SBATCH --time=24:00\n") == {
        "minutes-not-hours"
    }


def test_notes_do_not_count(tmp_path):
    path = tmp_path / "notes.sh"
    path.write_text("#!/bin/bash\n##SBATCH --nodes=2\n#SBATCH --mem=0\n")
    result = lint(path)
    assert result.exit_code == 0
    assert "note[unread-marker]" in result.stdout
    assert "note[all-memory]" in result.stdout


def test_fix_keeps_mode_bits_and_links(bad, tmp_path):
    bad.chmod(0o750)
    link = tmp_path / "link.sh"
    link.symlink_to(bad)
    assert lint(link, "--fix").exit_code == 1  # the time is left for a person
    assert link.is_symlink()
    assert stat.S_IMODE(bad.stat().st_mode) == 0o750
    assert bad.read_text() == "#!/bin/bash\n#SBATCH --time=24:00\n#SBATCH --nodes=2\n#SBATCH -p gpu\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.sh", "link.sh"]


def test_fix_leaves_a_clean_script_alone(clean):
    before = clean.stat().st_mtime_ns
    lint(clean, "--fix")
    assert clean.stat().st_mtime_ns == before


def test_fix_keeps_bytes_that_are_no_utf8():
    script = b"#!/bin/bash\n# caf\xe9\n#SBATCH -p=gpu\n"
    assert check.mend(script, VERSION) == b"#!/bin/bash\n# caf\xe9\n#SBATCH -p gpu\n"


def test_explain_a_rule(bad):
    assert "24 minutes" in lint("--explain", "minutes-not-hours").stdout
    assert "there is no rule" in str(lint("--explain", "x").exception)


@pytest.mark.parametrize(
    "text",
    [
        CLEAN,
        "#!/bin/bash\n# SBATCH is how directives start\n# SBATCH -N 2 asks for two nodes\n",
        "#!/bin/bash\n# usage: sbatch --time=5 job.sh\n#sbatch -N1 job.sh\n#  sbatch --time=5 \\\n#    job.sh\necho\n",
        "#!/bin/bash\n#SBATCH -t 30:00 # half an hour\n#SBATCH -N 1 # one node\nsrun hostname\n",
        "#!/bin/bash\n#SBATCH --output=%x_%j.out --mail-user=me@example.org --mail-type=END,FAIL\n",
        "#!/bin/bash\ncat > job.sh <<EOF\n#!/bin/bash\n#SBATCH -N 1\nEOF\nsbatch job.sh\n",
        "#!/bin/bash\necho '#!/bin/bash\n#SBATCH -N 1\n' > job.sh\nsbatch job.sh\n",
        '#!/bin/bash\n#SBATCH --comment="costs $5 # really"\n#SBATCH --array=1-10%2\necho\n',
        "#!/bin/bash\n#SBATCH --mem=4G --gres=gpu:1 --constraint='a&b' --exclude=node[01-04]\npython x.py\n",
        "#!/bin/bash\n#SBATCH --export=ALL,A=1\nsrun --export=ALL,B=2 ./x\n",
        "#!/bin/bash\n#SBATCH --signal=B:TERM@60\ntrap 'exit 1' TERM\nsrun ./x &\nwait $!\n",
        "#!/usr/bin/env python3\n#SBATCH --nodes=1\nimport os\nprint('''\n#SBATCH --nodes=2\n''')\n",
    ],
)
def test_no_false_alarm(text):
    assert rules(text) == set()


def test_version_26_05_refuses_two_ways_to_ask_for_gpus():
    text = b"#!/bin/bash\n#SBATCH --gres=gpu:4 --gpus-per-node=4\n"
    assert [f.level.value for f in check.lint(text, VERSION) if f.rule == "conflicting-gpus"] == ["note"]
    assert [f.level.value for f in check.lint(text, (26, 5)) if f.rule == "conflicting-gpus"] == ["error"]


def test_a_directive_after_a_string_is_found():
    assert "late-directive" in rules('#!/bin/bash\necho "no << EOF\nhere"\n#SBATCH -N 2\n')
    assert "late-directive" in rules("#!/bin/bash\ncat <<- 'EOF'\n#SBATCH -N 2\n\tEOF\n#SBATCH -N 3\n")


def test_findings_hold_their_place_with_odd_letters():
    found = check.lint("#!/bin/bash\n#SBATCH --job-name=näme -p=gpu\n".encode(), VERSION)
    assert [(f.rule, f.line, f.column) for f in found] == [("short-equals", 2, 25)]
