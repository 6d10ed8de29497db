"""Every rule has a page in docs/rules/ whose bad example it finds and whose good example is clean."""

import re
from pathlib import Path

import pytest

from hpcdl.slurm.directives import read_script
from hpcdl.slurm.lint import check
from hpcdl.slurm.lint.finding import RULES, Level

PAGES = Path(__file__).parents[2] / "docs" / "rules"
VERSION = (22, 5)


def example(rule: str, heading: str) -> bytes:
    """Return the script under a heading of a rule's page; in an `escaped` one \\r, \\n and \\0 stand for themselves."""
    text = (PAGES / f"{rule}.md").read_text()
    match = re.search(rf"^## {heading}\n\n```bash( escaped)?\n(.*?)```$", text, re.DOTALL | re.MULTILINE)
    assert match, f"{rule}.md has no example under {heading}"
    if not match[1]:
        return match[2].encode()
    return match[2].rstrip("\n").replace("\\n", "\n").replace("\\r", "\r").replace("\\0", "\0").encode()


def test_every_rule_has_a_page_and_every_page_a_rule():
    assert {path.stem for path in PAGES.glob("*.md")} - {"README"} == set(RULES)


def test_the_list_of_rules_is_up_to_date():
    text = (PAGES / "README.md").read_text()
    for rule in RULES.values():
        assert f"| [{rule.name}]({rule.name}.md) | {rule.level.value} | {rule.summary} |" in text


@pytest.mark.parametrize("rule", sorted(RULES))
def test_the_bad_example_is_found_and_the_good_one_is_clean(rule):
    bad = [finding for finding in check.lint(example(rule, "Bad"), VERSION) if finding.rule == rule]
    assert bad
    assert bad[0].level is RULES[rule].level or rule == "pbs-obeyed"
    good = check.lint(example(rule, "Good"), VERSION)
    assert rule not in [finding.rule for finding in good]
    assert not [finding for finding in good if finding.level is not Level.NOTE]


@pytest.mark.parametrize("rule", sorted(RULES))
def test_sbatch_refuses_the_errors_only(rule):
    surroundings = check.bare(VERSION)
    assert read_script(example(rule, "Bad"), (), surroundings).accepted == (RULES[rule].level is not Level.ERROR)
    assert read_script(example(rule, "Good"), (), surroundings).accepted
