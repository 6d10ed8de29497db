"""Variables of the environment that change what sbatch and srun do."""

from collections.abc import Iterator, Mapping

from hpcdl.slurm.preflight.problem import Problem
from hpcdl.slurm.sbatch.environment import VARIABLES

# Set inside a job; sbatch hands them on, and srun of the new job takes them for its own.
_LEAKING = (
    "SLURM_JOB_ID",
    "SLURM_CPU_BIND",
    "SLURM_CPUS_PER_TASK",
    "SLURM_NTASKS",
    "SLURM_EXPORT_ENV",
    "SLURM_MEM_PER_NODE",
)


def check_environment(environment: Mapping[str, str]) -> Iterator[Problem]:
    """Yield the variables that would overrule the script."""
    for name, option in VARIABLES.items():
        if name.startswith("SBATCH_") and name in environment:
            what = f"{name}={environment[name]} is set and beats --{option.split()[0]} of the script"
            yield Problem("environment", what, f"unset {name}", stops=False)
    leaking = [name for name in _LEAKING if name in environment]
    if "SLURM_JOB_ID" in environment:
        what = (
            f"this shell runs inside job {environment['SLURM_JOB_ID']}; {', '.join(leaking[:3])} leak into the new job"
        )
        yield Problem("environment", what, "submit from a login node, or unset SLURM_* except SLURM_CONF", stops=False)
