"""The directives of a job for qsub: Torque's words, which some sites keep in front of Slurm (vsc-ugent)."""

from typing import Any

from hpcdl.errors import JobFileError
from hpcdl.fit import check_account, cores_per_rank
from hpcdl.job import Job
from hpcdl.sbatch import PLAIN_VALUE
from hpcdl.settings import Settings
from hpcdl.site import Partition, Site

MAIL_TYPES = {"ALL": "abe", "BEGIN": "b", "END": "e", "FAIL": "a", "NONE": "n"}
"""sbatch's --mail-type in the letters of qsub -m."""


def pbs_directives(job: Job, site: Site, partition: Partition | None, settings: Settings) -> list[str]:
    """Return what stands behind `#PBS`, line by line.

    The logs get qsub's own names: the job's name, `.o` or `.e`, and the job's number.

    Raises:
        JobFileError: the job's `slurm:` section says what qsub has no word for.
        SiteError: the site wants an account.
    """
    if job.sweep:
        raise JobFileError(f"sweep: site {site.name} takes jobs through qsub, for which hpcdl writes no arrays.")
    resources = job.resources
    slurm = {name: value for name, value in job.slurm.items() if value is not False}
    account = slurm.pop("account", settings.account_at(site.name))
    check_account(account and str(account), site)
    mail = _mail_letters(slurm.pop("mail-type", "NONE"))
    slurm.pop("partition", None)  # chooses the cluster, by the module that is loaded before qsub
    if slurm:
        name = next(iter(slurm))
        raise JobFileError(
            f"slurm.{name}: site {site.name} takes jobs through qsub, which hpcdl cannot tell this. "
            f"Leave it out here by --set slurm.{name}=false."
        )
    cores = resources.ranks_per_node * (cores_per_rank(resources, site, partition) or 1)
    gpus = f":gpus={resources.gpus_per_node}" if resources.gpus_per_node else ""
    lines = [f"-N {job.name}", f"-l nodes={resources.nodes}:ppn={cores}{gpus}", f"-l walltime={_walltime(job)}"]
    if resources.memory_per_node_gib:
        lines.append(f"-l mem={resources.memory_per_node_gib * resources.nodes}gb")
    if account:
        lines.append(f"-A {_plain('account', account)}")
    if mail != "n":
        lines.append(f"-m {mail}")
        if settings.mail_user:
            lines.append(f"-M {_plain('mail_user', settings.mail_user)}")
    return lines


def _walltime(job: Job) -> str:
    """HH:MM:SS with the days in the hours: qsub knows no `D-`."""
    minutes, seconds = divmod(job.resources.time_s, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"


def _mail_letters(mail_type: Any) -> str:
    letters = [MAIL_TYPES.get(word.strip().upper(), "") for word in str(mail_type).split(",")]
    if not all(letters):
        raise JobFileError(f"slurm.mail-type: {mail_type!r} has no letter in qsub -m; give {', '.join(MAIL_TYPES)}.")
    return "".join(dict.fromkeys("".join(letters)))


def _plain(name: str, value: Any) -> str:
    """A value as it is: how a front end of qsub unquotes nobody documents, so what would need quotes is refused."""
    if not PLAIN_VALUE.fullmatch(str(value)):
        raise JobFileError(f"{name}: {value!r} cannot stand in a #PBS line; use letters, digits and . - _ @ only.")
    return str(value)
