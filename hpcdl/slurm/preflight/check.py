"""All checks together."""

import os
from collections.abc import Mapping
from pathlib import Path

from hpcdl.site import Site
from hpcdl.slurm.directives import VERSION, read_script
from hpcdl.slurm.lint.check import bare, lint
from hpcdl.slurm.lint.finding import Level
from hpcdl.slurm.lint.script import Script
from hpcdl.slurm.preflight.facts import check_site
from hpcdl.slurm.preflight.place import check_place
from hpcdl.slurm.preflight.problem import Problem
from hpcdl.slurm.preflight.queue import check_modules, check_queue, slurm_version
from hpcdl.slurm.preflight.variables import check_environment


def preflight(
    data: bytes, path: Path, site: Site | None, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> list[Problem]:
    """Return everything that is known to go wrong with a script, the worst first.

    Args:
        data: the script.
        path: where it lies; sbatch is asked about this file.
        site: the site's profile, or None.
        environment: the variables sbatch would see; by default those of here.
        folder: where sbatch would be called; by default the working directory.
    """
    environment = os.environ if environment is None else environment
    version = slurm_version() or VERSION
    surroundings = bare(version, frozenset(site.plugin_options) if site else frozenset())
    text = data.decode("utf-8", "surrogateescape")
    script = Script(text, read_script(data, (), surroundings), version, surroundings.plugin_options)
    problems = [
        Problem("script", f"{finding.why} [{finding.rule}]", finding.fix, finding.level is Level.ERROR, finding.line)
        for finding in lint(data, version, surroundings)
        if finding.level is not Level.NOTE
    ]
    if site is not None:
        problems += check_site(script, site)
    problems += check_place(script, folder or Path.cwd(), version)
    problems += check_environment(environment)
    if script.reading.accepted:
        problems += check_queue(script, path)
        problems += check_modules(script, environment)
    return sorted(problems, key=lambda problem: not problem.stops)
