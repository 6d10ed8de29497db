"""Environment modules of a sandbox: a small tree for Lmod with the names that the site profile uses."""

from pathlib import Path

from hpcdl.files import write_atomically
from hpcdl.sandbox.errors import SandboxUsageError
from hpcdl.site import Site

LMOD = "/usr/share/lmod/lmod"
PROFILE = Path("/etc/profile.d/lmod.sh")
"""What a login shell reads; inside the sandbox ours lies over it."""


def module_file(name: str) -> str:
    """Return the text of a module that only says that it is loaded."""
    variable = "SANDBOX_MODULE_" + "".join(letter if letter.isalnum() else "_" for letter in name.upper())
    return f'whatis("Stand-in of the hpcdl sandbox: loads and brings nothing")\nsetenv("{variable}", "1")\n'


def tree(site: Site) -> dict[str, str]:
    """Return the module tree of a site: path below the tree's folder -> text.

    A collection that the site's users restore holds the modules that the profile loads, or, when it names none, one
    with the collection's own name.

    Raises:
        SandboxUsageError: a module's name would lie outside the tree.
    """
    for name in _names(site):
        if not all(part.strip(".") for part in name.split("/")):
            raise SandboxUsageError(
                f"site '{site.name}': modules: {name!r} is no module name; write NAME or NAME/VERSION."
            )
    return {f"{name}.lua": module_file(name) for name in _names(site)}


def _names(site: Site) -> list[str]:
    names = [word for line in site.modules.load for word in line.split()]
    names += [partition.cluster_module for partition in site.partitions.values() if partition.cluster_module]
    return names or ([site.modules.restore] if site.modules.restore else [])


def profile(site: Site, folder: Path) -> str:
    """Return the text of lmod.sh: it makes `module` known to a login shell, and through BASH_ENV to a script."""
    stages = f"export {site.modules.use_variable}={folder}/modules\n" if site.modules.use_variable else ""
    return f"""{stages}export MODULEPATH={folder}/modules BASH_ENV={PROFILE} LMOD_SYSTEM_DEFAULT_MODULES=
. {LMOD}/init/bash
export LMOD_CMD={folder}/lmod
"""


def lmod_program(folder: Path) -> str:
    """Return a program in Lmod's place: `module save` writes to the sandbox and not to the user's ~/.lmod.d."""
    return f"""#!/bin/sh
home={folder}/home/$(id -un)
test -d "$home" || cp -r {folder}/skeleton "$home"
HOME=$home exec {LMOD}/libexec/lmod "$@"
"""


def write(site: Site, folder: Path) -> None:
    """Write the module tree and what makes Lmod use it into the sandbox's folder."""
    for path, text in tree(site).items():
        target = folder / "modules" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    (folder / "modules").mkdir(exist_ok=True)
    (folder / "skeleton").mkdir(exist_ok=True)
    (folder / "home").mkdir(exist_ok=True)
    (folder / "home").chmod(0o1777)
    write_atomically(folder / "lmod.sh", profile(site, folder))
    write_atomically(folder / "lmod", lmod_program(folder))
    (folder / "lmod").chmod(0o755)


def save_collection(site: Site, folder: Path) -> list[str] | None:
    """Return the command, for inside the sandbox, that saves the collection of the site's users; None: it has none."""
    if not site.modules.restore:
        return None
    # HOME: what Lmod saves here is what every user finds.
    script = (
        f'. {folder}/lmod.sh; LMOD_CMD={LMOD}/libexec/lmod; export HOME={folder}/skeleton; set -e; module load "$@"; '
    )
    return ["bash", "-c", script + 'module save "$0"', site.modules.restore, *_names(site)]
