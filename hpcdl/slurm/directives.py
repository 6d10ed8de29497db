"""What sbatch would make of a batch script: every option in force and where it came from, or why it is refused.

    reading = read_script(Path("job.sh").read_bytes())
    reading.accepted, reading.options["nodes"].value, reading.options["nodes"].line

Written from the behaviour of Slurm 22.05.8, and proved against the real sbatch by tests/batch_scripts/.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hpcdl.errors import HpcdlError
from hpcdl.slurm.sbatch import checks, foreign, getopt
from hpcdl.slurm.sbatch.configuration import read_configuration
from hpcdl.slurm.sbatch.environment import VARIABLES
from hpcdl.slurm.sbatch.getopt import Given, Takes
from hpcdl.slurm.sbatch.history import option_table
from hpcdl.slurm.sbatch.options import BY_NAME, Option
from hpcdl.slurm.sbatch.refusal import Refusal
from hpcdl.slurm.sbatch.request import Request, Setting, State, Surroundings
from hpcdl.slurm.sbatch.words import Directive, Word, check_text, foreign_directives, slurm_directives

LARGEST_SCRIPT = 32 * 1024**2  # bytes; Slurm's controller takes 4 MiB (MaxScriptSize) unless told otherwise
VERSION = (22, 5)


class ScriptError(HpcdlError):
    """A file cannot be read as a batch script."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What sbatch made of a script.

    Attributes:
        accepted: whether sbatch would send it to the controller.
        error: why not, or None.
        components: the options in force by long name, one dict for each component of a heterogeneous job.
        directives: the lines obeyed, first to last: #SBATCH and #SLURM, then #BSUB or #PBS.
        warnings: what sbatch says and goes on.
    """

    accepted: bool
    error: Refusal | None
    components: tuple[dict[str, Setting], ...]
    directives: tuple[Directive, ...]
    warnings: tuple[str, ...]

    @property
    def options(self) -> dict[str, Setting]:
        """The options of the (first) component."""
        return self.components[0] if self.components else {}


def load_script(path: Path | str) -> bytes:
    """Return the bytes of a script.

    Raises:
        ScriptError: it cannot be opened, is a folder, is larger than any script, or is a binary.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST_SCRIPT + 1)
    except IsADirectoryError:
        raise ScriptError(f"{path} is a folder; name the batch script in it") from None
    except OSError as error:
        raise ScriptError(f"cannot read {path}: {error.strerror}") from None
    if len(data) > LARGEST_SCRIPT:
        size = os.path.getsize(path) / 1e6
        raise ScriptError(f"{path} is {size:.0f} MB large, no batch script (the most is {LARGEST_SCRIPT / 1e6:.0f} MB)")
    if b"\0" in data[:4096] and not data.startswith(b"#!"):
        raise ScriptError(f"{path} is a binary file, no batch script; name the text file given to sbatch")
    return data


def here(version: tuple[int, int] = VERSION, environment: dict[str, str] | None = None) -> Surroundings:
    """Return the surroundings of a sbatch started here and now."""
    variables = dict(os.environ) if environment is None else environment
    return Surroundings(
        environment=variables,
        folder=Path.cwd(),
        now=time.time(),
        is_root=os.getuid() == 0,
        configuration=read_configuration(variables),
        version=version,
    )


def read_script(data: bytes, arguments: Sequence[str] = (), surroundings: Surroundings | None = None) -> Reading:
    """Read a script the way `sbatch ARGUMENTS SCRIPT` would.

    Args:
        data: the script.
        arguments: options of the command line, such as `["--time=10"]`.
        surroundings: the environment, the working directory, slurm.conf and Slurm's version; by default those of here.
    """
    reader = _Reader(data.decode("utf-8", "surrogateescape"), arguments, surroundings or here())
    try:
        reader.read()
    except Refusal as refusal:
        return reader.reading(refusal)
    return reader.reading(None)


@dataclass(slots=True)
class _Reader:
    """The passes that sbatch makes: command line, then for each component script, environment, command line again."""

    text: str
    arguments: Sequence[str]
    surroundings: Surroundings
    request: Request = field(init=False)
    environment: dict[str, str] = field(init=False)
    table: getopt.Table[Option] = field(init=False)
    components: list[dict[str, Setting]] = field(default_factory=list)
    directives: list[Directive] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.request = Request(self.surroundings)
        self.environment = dict(self.surroundings.environment)
        known = self.surroundings
        self.table = option_table(known.version, known.is_forgiving, known.plugin_options)

    def read(self) -> None:
        if "SBATCH_IGNORE_PBS" in self.environment:
            self._set_from_variable("SBATCH_IGNORE_PBS", "ignore-pbs", self.environment["SBATCH_IGNORE_PBS"])
        self._obey_command_line(first_pass=True)
        check_text(self.text)
        lines = self.text.split("\n")
        own = list(slurm_directives(lines))
        if any(directive.marker == "#SLURM" for directive in own):
            self.request.warnings.append("sbatch asks to write #SBATCH instead of #SLURM")
        parts: list[list[Directive]] = [[]]
        for directive in own:
            if directive.is_separator:
                parts.append([])
            parts[-1].append(directive)
        for part in parts:
            self._read_component(part, lines)

    def _read_component(self, own: list[Directive], lines: list[str]) -> None:
        for name, state in self.request.states.items():
            if self._option(name).per_component:
                self._option(name).reset(self.request)
                state.is_set = False
        for name in [name for name in self.request.fields if name in _DERIVED]:
            del self.request.fields[name]
        self.directives += own
        for given in getopt.parse(_words(own), self.table):
            self._set(given, given.word.line, "script")
        if not self.request.get("ignore_pbs"):
            self._obey_foreign(lines)
        for variable, name in VARIABLES.items():
            if variable in self.environment:
                self._set_from_variable(variable, name, self.environment[variable])
        self._obey_command_line(first_pass=False)
        checks.verify(self.request)
        if self.request.get("hint") is not None:  # sbatch exports it, so the next component finds it in the environment
            self.environment["SLURM_HINT"] = self.request.get("hint")
        self.components.append(self._settings())
        checks.submit(self.request)

    def _obey_foreign(self, lines: list[str]) -> None:
        """Obey the #BSUB lines if there are any, else the #PBS lines."""
        for marker in ("#BSUB", "#PBS"):
            if f"\n{marker}" not in self.text:
                continue
            found = list(foreign_directives(lines, marker))
            if not found:
                continue
            self.directives += found
            words = _words(found)
            if marker == "#BSUB":
                foreign.obey_bsub(words, self._set_from_foreign)
            else:
                foreign.obey_pbs(words, self.request, self._set_from_foreign)
            return

    def _obey_command_line(self, first_pass: bool) -> None:
        words = [Word(text, 0, 0) for text in self.arguments]
        if any(word.text == ":" for word in words):
            raise ScriptError("a component of a heterogeneous job cannot be given on the command line here")
        try:
            for given in getopt.parse(words, self.table):
                option = self._option(given.option.key)
                if option.name == "wrap":
                    raise Refusal("with --wrap sbatch takes no script", option="wrap")
                if first_pass or not option.early:
                    self._assign(
                        option, given.value, State(True, first_pass, given.value, "command line", None, given.spelling)
                    )
        except Refusal as refusal:
            refusal.line = None
            raise

    def _option(self, name: str) -> Option:
        return BY_NAME.get(name) or self.table.by_name[name]

    def _set(self, given: Given, line: int, source: str) -> None:
        option = self._option(given.option.key)
        if not option.early:
            self._assign(option, given.value, State(True, False, given.value, source, line, given.spelling))

    def _set_from_foreign(self, name: str, value: str | None, word: Word, spelling: str) -> None:
        self._assign(BY_NAME[name], value, State(True, False, value, "script", word.line, spelling))

    def _set_from_variable(self, variable: str, name: str, value: str) -> None:
        option = BY_NAME[name]
        if option.takes is Takes.NOTHING and not _means_yes(value):
            option.reset(self.request)
            self.request.states[option.name] = State()
            return
        self._assign(option, value, State(True, True, value, "environment", None, variable))

    def _assign(self, option: Option, value: str | None, state: State) -> None:
        if option.takes is Takes.MAYBE and value == "":
            value = None
        before = self.request.states.get(option.name)
        try:
            option.read(self.request, value)
        except Refusal as refusal:
            raise _named(refusal, option, state) from None
        if before and before.is_set and before.source == state.source == "script" and before.line and state.line:
            state.repeated = (*before.repeated[-9:], before.line)
            if option.name == "mail-type" and self.surroundings.version < (25, 5):
                state.value = f"{before.value},{value}"
        self.request.states[option.name] = state

    def _settings(self) -> dict[str, Setting]:
        settings = {}
        for name in sorted(self.request.states, key=lambda name: (_PLACE.get(name, len(_PLACE)), name)):
            option, state = self._option(name), self.request.states[name]
            if not state.is_set:
                continue
            shown = option.show(self.request)
            value = state.value if state.value is not None else shown or "set"
            settings[name] = Setting(name, value, shown, state.source, state.line, state.origin, state.repeated)
        return settings

    def reading(self, refusal: Refusal | None) -> Reading:
        components = list(self.components)
        if refusal is not None and not components:
            components = [self._settings()]
        return Reading(
            accepted=refusal is None,
            error=refusal,
            components=tuple(components),
            directives=tuple(self.directives),
            warnings=tuple(self.request.warnings),
        )


# Settings are told in the order of `sbatch -v`.
_PLACE = {name: index for index, name in enumerate(BY_NAME)}
# Fields that the checks fill in; a new component starts without them.
_DERIVED = frozenset({"ntasks", "mincpus", "nodes_set", "min_nodes", "max_nodes", "nodelist", "distribution"})
_DERIVED |= {"threads_per_core", "cores_per_socket", "ntasks_per_core"}


def _words(directives: list[Directive]) -> list[Word]:
    return [word for directive in directives for word in directive.words()]


def _means_yes(value: str) -> bool:
    """Whether an environment variable switches a flag on: empty, `yes`, or a number other than 0."""
    return not value or value.lower() == "yes" or bool(_number(value))


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0


def _named(refusal: Refusal, option: Option, state: State) -> Refusal:
    refusal.at(state.line, option.name)
    if not refusal.reason.startswith("--"):
        refusal.reason = (
            f"{state.origin if state.origin.startswith(('#', 'S')) else '--' + option.name}: {refusal.reason}"
        )
    return refusal
