"""Findings as text, JSON, SARIF 2.1.0 (for code scanning) or GitHub's workflow commands."""

import json
from collections.abc import Sequence
from typing import Any

import hpcdl
from hpcdl.errors import HpcdlError
from hpcdl.slurm.lint.finding import RULES, Finding, Level

# One entry for each script: its path and its findings.
Results = Sequence[tuple[str, Sequence[Finding]]]


def write(format: str, results: Results) -> str:
    """Return the findings of all scripts in one of the formats `text`, `json`, `sarif` and `github`."""
    return {"text": _text, "json": _json, "sarif": _sarif, "github": _github}[format](results)


def _text(results: Results) -> str:
    lines = []
    for path, findings in results:
        for finding in findings:
            mark = " (--fix)" if finding.edits else ""
            place = f"{_plain(path)}:{finding.line}:{finding.column}"
            lines.append(f"{place}: {finding.level.value}[{finding.rule}]: {_plain(finding.why)}")
            lines.append(f"    fix{mark}: {_plain(finding.fix)}")
    number = sum(finding.level is not Level.NOTE for _, findings in results for finding in findings)
    if lines:
        scripts = f"{len(results)} script" + ("s" if len(results) != 1 else "")
        lines.append(f"{number} finding{'s' if number != 1 else ''} in {scripts}, notes not counted")
    return "\n".join(lines)


def _json(results: Results) -> str:
    rows = [{"path": path, **_row(finding)} for path, findings in results for finding in findings]
    return json.dumps(rows, indent=2)


def _row(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "level": finding.level.value,
        "line": finding.line,
        "column": finding.column,
        "why": finding.why,
        "fix": finding.fix,
        "fixable": bool(finding.edits),
    }


def _sarif(results: Results) -> str:
    rules = [{"id": rule.name, "shortDescription": {"text": rule.summary}} for rule in RULES.values()]
    found = [
        {
            "ruleId": finding.rule,
            "level": finding.level.value,
            "message": {"text": f"{finding.why}. Fix: {finding.fix}"},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": path},
                        "region": {"startLine": finding.line, "startColumn": finding.column},
                    }
                }
            ],
        }
        for path, findings in results
        for finding in findings
    ]
    driver = {"name": "hpcdl", "version": hpcdl.__version__, "rules": rules}
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return json.dumps(
        {"$schema": schema, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": found}]}, indent=2
    )


def _github(results: Results) -> str:
    words = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "notice"}
    return "\n".join(
        f"::{words[finding.level]} file={_property(path)},line={finding.line},col={finding.column},"
        f"title={finding.rule}::{_message(f'{finding.why}. Fix: {finding.fix}')}"
        for path, findings in results
        for finding in findings
    )


def _message(text: str) -> str:
    return _plain(text).replace("%", "%25")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def _plain(text: str) -> str:
    """Escape what would disturb a terminal or a log."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def explain_rule(name: str) -> str:
    """Return what a rule finds.

    Raises:
        HpcdlError: there is no such rule.
    """
    if name not in RULES:
        raise HpcdlError(f"there is no rule {name!r}; there are: {', '.join(sorted(RULES))}")
    rule = RULES[name]
    return f"{name} ({rule.level.value}): {rule.summary}"
