"""What changed in sbatch's options from 22.05 to 26.05.

Read from the tables common_options[] of src/common/slurm_opt.c at the tags slurm-23-02-8-1, 23-11-11-1, 24-05-8-1,
24-11-7-1, 25-05-8-1, 25-11-7-1 and 26-05-3-1; unlike 22.05 it is not tried against the programs. Changed values and
checks stand with the options and checks themselves.
"""

from dataclasses import replace
from functools import lru_cache

from hpcdl.slurm.sbatch.getopt import Table, Takes
from hpcdl.slurm.sbatch.options import BY_NAME, OPTIONS, Option, plain_option, plugin_options

# --export-file was absent from 23.11 only.
_REMOVED = {"power": (24, 5)}
_ABSENT = {"export-file": (23, 11)}
_ADDED = (
    ((23, 2), plain_option("tres-per-task", per_component=True)),
    ((23, 2), plain_option("container-id")),
    ((23, 2), plain_option("extra")),
    ((23, 11), plain_option("tres-bind", per_component=True)),
    ((24, 5), plain_option("stepmgr", Takes.NOTHING)),
    ((24, 5), plain_option("resv-ports", Takes.MAYBE, per_component=True)),
    ((24, 5), plain_option("segment", per_component=True)),
    ((24, 11), plain_option("oom-kill-step", Takes.MAYBE)),
    ((25, 5), plain_option("external", Takes.NOTHING)),
    ((25, 11), plain_option("spread-segments", Takes.NOTHING, per_component=True)),
    ((25, 11), plain_option("consolidate-segments", Takes.NOTHING, per_component=True)),
    ((25, 11), plain_option("resources", per_component=True)),
    ((26, 5), plain_option("container-type")),
    ((26, 5), plain_option("mem-update")),
)
# --get-user-env lost its value, --requeue may have one ("expedite").
_TAKES = (((25, 5), "get-user-env", Takes.NOTHING), ((25, 11), "requeue", Takes.MAYBE))


@lru_cache
def option_table(
    version: tuple[int, int], is_forgiving: bool = False, of_site: frozenset[str] = frozenset()
) -> Table[Option]:
    """Return the options of a version of sbatch.

    Args:
        version: such as (22, 5).
        is_forgiving: whether to add those of well-known plugins.
        of_site: the names of those that plugins of the site add.
    """
    options = {option.name: option for option in OPTIONS}
    for name, since in _REMOVED.items():
        if version >= since:
            del options[name]
    for name, only in _ABSENT.items():
        if version == only:
            del options[name]
    for since, option in _ADDED:
        if version >= since:
            options[option.name] = option
    for since, name, takes in _TAKES:
        if version >= since:
            options[name] = replace(options[name], takes=takes)
    if is_forgiving:
        options |= {option.name: option for option in plugin_options() if option.name not in options}
    # Whether a plugin's option takes a value is not known: with one it must be attached, as in --name=value.
    options |= {name: plain_option(name, Takes.MAYBE) for name in sorted(of_site) if name not in options}
    return Table(tuple(options.values()))


BY_NAME |= {option.name: option for _, option in _ADDED}
