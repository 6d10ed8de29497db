"""From a job, a site and the user's settings to the text of a batch script: pure, it touches nothing.

The words of the script stand in templates/; what is decided or computed is decided here.
"""

import re
import shlex
from collections.abc import Sequence

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PrefixLoader,
    StrictUndefined,
    TemplateError,
    TemplateSyntaxError,
)

from hpcdl import resources
from hpcdl.errors import HpcdlError
from hpcdl.job import Job
from hpcdl.sbatch import Options, directive, sbatch_options
from hpcdl.settings import Settings
from hpcdl.site import Site

TEMPLATES = {"slurm": "slurm.sh.j2", "none": "base.sh.j2"}
"""The template for each kind of scheduler."""


def render(job: Job, job_file: str, site: Site, settings: Settings, changes: Sequence[str] = ()) -> str:
    """Return the batch script of a job at a site.

    Args:
        job: what to run, changes already applied.
        job_file: the job file's path, as the script shall name it: absolute, or relative to where sbatch is called.
        site: where to run.
        settings: the user's own.
        changes: the `--set` texts that made `job` out of the file; the ranks read the file with the same ones.

    Raises:
        HpcdlError: the site cannot run the job, or a value cannot stand in a script.
    """
    options = sbatch_options(job, site, settings) if site.scheduler == "slurm" else {}
    payload = ["hpcdl", "train", job_file, *(word for text in changes for word in ("--set", text))]
    template = TEMPLATES[site.scheduler]
    try:
        return (
            _environment(settings)
            .get_template(template)
            .render(
                site=site,
                options=options,
                venv=settings.venv_at(site.name),
                command=launch(job, site, options) + payload,
            )
        )
    except TemplateError as fault:
        where = f"{fault.name}:{fault.lineno}" if isinstance(fault, TemplateSyntaxError) else template
        raise HpcdlError(f"template {where}: {fault}. Correct it in your folder of templates.") from None


def launch(job: Job, site: Site, options: Options) -> list[str]:
    """Return the words that start one rank after another of what follows them, such as ["mpirun", "-n", "2"]."""
    if site.launch.program == "mpirun":
        return ["mpirun", "-n", str(job.resources.ranks), *site.launch.options]
    words = ["srun", "--kill-on-bad-exit=1"]  # without it the other ranks wait for a dead one until the time limit
    if site.launch.mpi:
        words.append(f"--mpi={site.launch.mpi}")
    if cores := options.get("cpus-per-task"):  # Slurm 22.05 to 23.02: srun does not take it from the allocation
        words.append(f"--cpus-per-task={cores}")
    return words + site.launch.options


def _environment(settings: Settings) -> Environment:
    """Jinja with the user's own templates first; ours are also there as hpcdl/NAME, so that one can extend them."""
    ours = FileSystemLoader(resources.folder("templates"))
    own = settings.folder("templates")
    loaders: list[BaseLoader] = [FileSystemLoader(own)] if own else []
    environment = Environment(
        loader=ChoiceLoader([*loaders, ours, PrefixLoader({"hpcdl": ours})]),
        undefined=StrictUndefined,  # a misspelt name is an error, not an empty word
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # this is no HTML; every value goes through one of the filters below
    )
    environment.filters |= {"quote": quote, "words": words, "line": line, "directive": directive}
    return environment


def quote(value: str) -> str:
    """Return a text as one word of a shell.

    Raises:
        HpcdlError: it holds a NUL character, which no argument can hold.
    """
    if "\0" in value:
        raise HpcdlError(f"{value!r} holds a NUL character, which cannot stand in a script.")
    return shlex.quote(value)


def words(values: Sequence[str]) -> str:
    """Return a command line: each value one word."""
    return " ".join(quote(value) for value in values)


def line(value: str) -> str:
    """Return a text that was checked when it was read (a variable's name, the shell) as it is."""
    if not re.fullmatch(r"[ -~]+", value):
        raise HpcdlError(f"{value!r} must be one line of plain characters.")
    return value
