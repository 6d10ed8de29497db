"""#PBS and #BSUB lines: sbatch obeys them too, in words of its own (src/sbatch/xlate.c of Slurm 22.05.8)."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hpcdl.slurm.sbatch import getopt, hostlist
from hpcdl.slurm.sbatch.getopt import Takes
from hpcdl.slurm.sbatch.numbers import count, divide, int32, leading_integer
from hpcdl.slurm.sbatch.refusal import Refusal
from hpcdl.slurm.sbatch.request import Request
from hpcdl.slurm.sbatch.words import Word

# Sets one option: its long name, its value, the word it comes from, and how the user spelt it.
Set = Callable[[str, str | None, Word, str], None]


@dataclass(frozen=True, slots=True)
class ForeignOption:
    """An option of qsub or bsub. `meaning` is sbatch's long name for it, None where sbatch ignores it."""

    name: str
    short: str | None
    takes: Takes
    meaning: str | None = None


def _table(text: str) -> getopt.Table[ForeignOption]:
    """Read lines of `letter name takes [meaning]`."""
    rows = [line.split() for line in text.strip().splitlines()]
    # A NUL cannot be typed, so no long option has the name of one that has a letter only.
    names = ["\0" if row[1] == "-" else row[1] for row in rows]
    return getopt.Table(
        [
            ForeignOption(name, row[0], Takes(row[2]), row[3] if len(row) > 3 else None)
            for name, row in zip(names, rows, strict=True)
        ]
    )


PBS = _table("""
a start_time value begin
A account value account
c checkpoint value
C working_dir value
e error value error
h hold nothing hold
I interactive nothing
j join value
J job_array value array
k keep value
l resource_list value
m mail_options value
M mail_user_list value mail-user
N job_name value job-name
o out value output
p priority value nice
q destination value partition
r rerunable value
S script_path value
t array value array
u running_user value
v variable_list value
V all_env nothing
W attributes value
z no_std nothing
""")
BSUB = _table("""
c cwd value chdir
e error_file value error
J job_name value job-name
m hostname value
M memory_limit value
n - value
o output_file value output
q queue_name value partition
W time value time
x exclusive nothing exclusive
""")


def obey_bsub(words: Iterable[Word], set_option: Set) -> None:
    """Carry out the #BSUB lines.

    Raises:
        Refusal: an option of bsub that sbatch does not know, or a value it cannot read.
    """
    # bsub's one long option with a single dash, where an option is due.
    words = [Word("-c", w.line, w.column) if w.text == "-cwd" and i % 2 == 0 else w for i, w in enumerate(words)]
    for given in getopt.parse(words, BSUB):
        value, letter = given.value, given.option.short
        name = given.option.meaning
        if letter == "m":
            name, value = "nodelist", (value or "").replace(" ", ",")
        elif letter == "M":  # kilobytes in LSF
            name = "mem-per-cpu"
            value = (value or "") + ("K" if re.search(r"[0-9]\Z", value or "") else "")
        elif letter == "n":
            name = "ntasks"
            if "," in (value or ""):
                value = (value or "").partition(",")[2]
                if not value:
                    raise Refusal("#BSUB -n MIN,MAX lacks the MAX", given.word.line, "ntasks", rule="bad-value")
        if name:
            set_option(name, value, given.word, f"#BSUB {given.spelling}")


def obey_pbs(words: Iterable[Word], request: Request, set_option: Set) -> None:
    """Carry out the #PBS lines.

    Raises:
        Refusal: an option of qsub that sbatch does not know, or a value it cannot read.
    """
    for given in getopt.parse(list(words), PBS):
        value, letter, word, spelling = given.value or "", given.option.short, given.word, f"#PBS {given.spelling}"
        if given.option.meaning:
            set_option(given.option.meaning, given.value, word, spelling)
        elif letter == "l":
            _obey_resources(value, request, lambda name, text, w=word, s=spelling: set_option(name, text, w, s))  # type: ignore[misc]
        elif letter == "m":
            set_option("mail-type", _mail_type(value), word, spelling)
        elif letter == "v":
            before = request.get("export")
            set_option("export", f"{before},{value}" if before else value, word, spelling)
        elif letter == "W" and value[:6].lower() == "umask=":
            set_option("umask", value[6:], word, spelling)
        elif letter == "W" and value[:7].lower() == "depend=":
            set_option("dependency", value[7:], word, spelling)


def _mail_type(letters: str) -> str:
    lower = letters.lower()
    if "n" in lower:
        return "NONE"
    return ",".join(name for letter, name in (("b", "BEGIN"), ("e", "END"), ("a", "FAIL")) if letter in lower)


_IGNORED = ("arch=", "host=", "opsys=", "other=", "pmem=", "pvmem=", "software=", "vmem=")
_TIMES = ("cput=", "pcput=", "walltime=")


def _obey_resources(text: str, request: Request, set_option: Callable[[str, str | None], None]) -> None:
    """Carry out `-l`: sbatch looks for the names it knows anywhere in the text, letter by letter."""
    position, gpus, seen = 0, 0, set()

    def value(name: str, end: str = ",") -> str:
        nonlocal position
        begin = position + len(name)
        stop = text.find(end, begin)
        stop = len(text) if stop < 0 else stop
        position = min(stop + 1, len(text))
        return text[begin:stop]

    while position < len(text):
        rest = text[position:]
        lower = rest.lower()
        name = next((name for name in (*_IGNORED, *_TIMES, "file=", "mem=", "nice=") if rest.startswith(name)), None)
        if lower.startswith("accelerator="):
            position += len("accelerator=")
            if lower[12:16] == "true" and gpus < 1:
                gpus = 1
        elif name in _IGNORED:
            value(name)
        elif name in _TIMES:
            set_option("time", value(name))
        elif name in ("file=", "mem="):
            size = value(name)
            set_option("tmp" if name == "file=" else "mem", size[:-1] if size[-1:].lower() == "b" else size)
        elif name == "nice=":
            set_option("nice", value(name) or None)
        elif lower.startswith("mpiprocs="):
            seen.add("mpiprocs")
            set_option("ntasks-per-node", value("mpiprocs=", ":"))
        elif lower.startswith("naccelerators="):
            gpus = count(value("naccelerators="), positive=True)
        elif lower.startswith("ncpus="):
            seen.add("ncpus")
            set_option("mincpus", value("ncpus=", ":"))
        elif rest.startswith("nodes="):
            _obey_nodes(value("nodes="), set_option)
        elif rest.startswith("proc="):
            feature = value("proc=")
            before = request.get("constraint")
            set_option("constraint", f"{feature},{before}" if before else feature)
            value("")  # sbatch skips the next item as well
        elif lower.startswith("select="):
            seen.add("select")
            set_option("nodes", value("select=", ":"))
        else:
            position += 1
    cpus, tasks = request.get("mincpus", -1), request.get("ntasks_per_node", -2)
    if len(seen) == 3 and cpus > tasks:
        set_option("cpus-per-task", str(divide(cpus, tasks)))
    if gpus > 0:
        before = request.get("gres")
        set_option("gres", f"{before},gpu:{gpus}" if before else f"gpu:{gpus}")


def _obey_nodes(text: str, set_option: Callable[[str, str | None], None]) -> None:
    """Carry out `nodes=2:ppn=4:gpus=1+host7`."""
    nodes = tasks_per_node = 0
    hosts: list[hostlist.Range] = []
    position = 0
    while position < len(text):
        end = position + re.match(r"[^+:]*", text[position:]).end()  # type: ignore[union-attr]
        part = text[position:end]
        if part.startswith("gpus="):
            set_option("gpus-per-node", part[5:])
        elif part.startswith("ppn="):
            tasks_per_node = int32(tasks_per_node + (leading_integer(part[4:])[0] or 0))
        elif part[:1].isascii() and part[:1].isdigit():
            nodes = int32(nodes + (leading_integer(part)[0] or 0))
        elif part[:1].isascii() and part[:1].isalpha():
            hosts.append(hostlist.one_host(part))
        else:
            position += 1
            continue
        position = end + 1
    if nodes:
        set_option("nodes", str(nodes))
    if tasks_per_node:
        set_option("ntasks", str(int32(tasks_per_node * (nodes or 1))))
    if hosts:
        set_option("nodelist", hostlist.write_hosts(hostlist.joined(hosts)))
