"""The few facts of slurm.conf on which sbatch's reading of a script depends."""

import re
from dataclasses import dataclass
from pathlib import Path

DEFAULT_PATH = Path("/etc/slurm/slurm.conf")
_GOVERNORS = ("Conservative", "OnDemand", "Performance", "PowerSave", "SchedUtil", "UserSpace")


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is assumed where there is no slurm.conf: a cluster whose only generic resource is the GPU.

    Attributes:
        gres_types: the names that --gres may use (GresTypes).
        has_cons_tres: whether --gpus, --gpus-per-task and their like are understood (SelectType=select/cons_tres).
        governors: what --cpu-freq may name (CpuFreqGovernors).
        is_guess: whether no slurm.conf was found. The linter then lets the names of other resources pass, which
            sites have (`nvme`, `lscratch`); the reader refuses them, as a sbatch with `GresTypes=gpu` does.
    """

    gres_types: frozenset[str] = frozenset({"gpu"})
    has_cons_tres: bool = True
    governors: frozenset[str] = frozenset({"OnDemand", "Performance", "UserSpace"})
    is_guess: bool = True

    def has_gres(self, name: str, forgiving: bool) -> bool:
        """Whether a generic resource exists; `forgiving` lets any name pass that is no slip for `gpu`."""
        return name in self.gres_types or (forgiving and self.is_guess and not name.lower().startswith("gpu"))


def read_configuration(environment: dict[str, str]) -> Configuration:
    """Return the facts of the slurm.conf that sbatch would read here, or the defaults where there is none."""
    path = Path(environment.get("SLURM_CONF") or DEFAULT_PATH)
    try:
        text = path.read_text(errors="surrogateescape")
    except OSError:
        return Configuration()
    lines = (line.partition("#")[0] for line in text.replace("\\\n", " ").splitlines())
    settings = {key.lower(): value for line in lines for key, value in re.findall(r"(\w+)\s*=\s*(\S+)", line) if value}
    governors = settings.get("cpufreqgovernors")
    return Configuration(
        gres_types=frozenset(filter(None, settings.get("grestypes", "").split(","))),
        # 22.05 falls back to select/linear, which knows --gres and --gpus-per-node only.
        has_cons_tres=settings.get("selecttype", "select/linear").removeprefix("select/")
        in ("cons_tres", "cray_aries"),
        governors=Configuration().governors
        if governors is None
        else frozenset(name for name in _GOVERNORS if name.lower() in governors.lower()),
        is_guess=False,
    )
