"""What the shell completes: names of sites and of runs. Silent about everything that is wrong: nobody has asked yet."""

from pathlib import Path


def site_names(incomplete: str) -> list[str]:
    """Return the names of site profiles that begin so."""
    from hpcdl.errors import HpcdlError
    from hpcdl.settings import load_settings
    from hpcdl.site import site_files

    try:
        own = load_settings().folder("sites")
    except HpcdlError:
        own = None
    return sorted(name for name in site_files(own) if name.startswith(incomplete))


def run_folders(incomplete: str) -> list[str]:
    """Return the folders of runs/ that begin so, as one would type them."""
    shown = (f"runs/{path.name}" for path in Path("runs").glob("*/"))
    return sorted(name for name in shown if name.startswith(incomplete))
