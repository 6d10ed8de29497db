"""Run the rules over a script, and mend what can be mended safely."""

import re
from collections.abc import Sequence
from dataclasses import replace

from hpcdl.slurm.directives import here, read_script
from hpcdl.slurm.lint import accepted, commands, markers, refused, resources, words  # noqa: F401  (they register their rules)
from hpcdl.slurm.lint.finding import RULES, Edit, Finding, Level
from hpcdl.slurm.lint.script import Script
from hpcdl.slurm.sbatch.request import Surroundings

_IGNORE = re.compile(r"#\s*hpcdl:\s*ignore(?:\[([\w\s,-]*)\])?")
_MOST_ROUNDS = 20


def lint(data: bytes, version: tuple[int, int], surroundings: Surroundings | None = None) -> list[Finding]:
    """Return what the rules find in a script, in the order of its lines.

    The environment plays no part: a finding is the script's own fault.
    A comment `# hpcdl: ignore[RULE, ...]` at the end of a line, or on a line of its own right above it, silences rules
    there; without brackets it silences all.
    """
    text = data.decode("utf-8", "surrogateescape")
    known = surroundings or bare(version)
    script = Script(text, read_script(data, (), known), version, known.plugin_options)
    findings = [
        Finding(rule.name, hit.level or rule.level, hit.line, hit.column, hit.why, hit.fix, hit.edits)
        for rule in RULES.values()
        for hit in rule.find(script)
    ]
    kept = [finding for finding in findings if not _is_ignored(finding, script.lines)] if "hpcdl:" in text else findings
    return sorted(kept, key=lambda finding: (finding.line, finding.column, finding.rule))


def bare(version: tuple[int, int], plugin_options: frozenset[str] = frozenset()) -> Surroundings:
    """Return the surroundings of here without any variable; slurm.conf counts, and what only some sites have passes."""
    return replace(here(version, {}), is_root=True, is_forgiving=True, plugin_options=plugin_options)


def mend(data: bytes, version: tuple[int, int], surroundings: Surroundings | None = None) -> bytes:
    """Return the script with every finding mended that has a safe fix."""
    surroundings = surroundings or bare(version)
    for _ in range(_MOST_ROUNDS):  # one fix may uncover another
        edits = [edit for finding in lint(data, version, surroundings) for edit in finding.edits]
        if not edits:
            break
        data = _apply(data.decode("utf-8", "surrogateescape"), edits).encode("utf-8", "surrogateescape")
    return data


def counts(findings: Sequence[Finding]) -> bool:
    """Whether any finding is more than a note."""
    return any(finding.level is not Level.NOTE for finding in findings)


def _apply(text: str, edits: list[Edit]) -> str:
    """Carry out the edits from the end on; of two that overlap, the later in the text is left for another round."""
    chosen: list[Edit] = []
    for edit in sorted(set(edits), key=lambda edit: (edit.begin, edit.end)):
        if not chosen or edit.begin >= chosen[-1].end:
            chosen.append(edit)
    for edit in reversed(chosen):
        text = text[: edit.begin] + edit.text + text[edit.end :]
    return text


def _is_ignored(finding: Finding, lines: list[str]) -> bool:
    own = lines[finding.line - 1] if finding.line <= len(lines) else ""
    above = lines[finding.line - 2].strip() if finding.line >= 2 else ""
    for line in (own, above if above.startswith("#") and not above.startswith("#SBATCH") else ""):
        match = _IGNORE.search(line)
        if match and (match.group(1) is None or finding.rule in re.split(r"[\s,]+", match.group(1).strip())):
            return True
    return False
