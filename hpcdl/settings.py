"""The user's own settings: what belongs to a person and not to a job or a site.

The file is ${XDG_CONFIG_HOME:-~/.config}/hpcdl/settings.yaml, all of it optional:

    site: jureca-dc                    # where jobs go that name no site
    mail_user: you@example.org
    account: myproject                 # at every site that has no line of its own below
    venv: ~/venvs/hpcdl                # likewise
    sites:
      jureca-dc: {account: training01, venv: /p/project/training01/venv, modules: [GCC, OpenMPI]}
    folders: {sites: ~/hpcdl/sites, templates: ~/hpcdl/templates}
"""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from hpcdl import yamlfile
from hpcdl.errors import HpcdlError
from hpcdl.yamlfile import Section


class SettingsError(HpcdlError):
    """The user's settings file is wrong."""


class SiteSettings(Section):
    """What the user has at one site."""

    account: str | None = None
    """The budget to which the time is charged (sbatch --account)."""
    venv: str | None = None
    """The folder of the Python environment that holds hpcdl at the site."""
    modules: list[str] = Field(default=[])
    """The modules with which that environment was made; loaded before it, after the site's own."""


class Folders(Section):
    """The user's own folders; they come before the ones that hpcdl brings."""

    sites: str | None = None
    templates: str | None = None


class Settings(Section):
    """A whole settings file."""

    site: str = "local"
    """The site of a command that names none; `hpcdl sites detect` says where this machine belongs."""
    mail_user: str | None = None
    """Who gets Slurm's mails (sbatch --mail-user)."""
    account: str | None = None
    venv: str | None = None
    sites: dict[str, SiteSettings] = Field(default={})
    folders: Folders = Folders()

    def account_at(self, site: str) -> str | None:
        """The account at a site, or the one for all sites."""
        return self.sites.get(site, SiteSettings()).account or self.account

    def venv_at(self, site: str) -> str | None:
        """The Python environment at a site, or the one for all sites; `~` is the user's home."""
        venv = self.sites.get(site, SiteSettings()).venv or self.venv
        return os.path.expanduser(venv) if venv else None

    def modules_at(self, site: str) -> list[str]:
        """The modules that the user's environment at a site needs."""
        return self.sites.get(site, SiteSettings()).modules

    def folder(self, kind: str) -> Path | None:
        """The user's folder of `sites` or `templates`, if there is one."""
        text = getattr(self.folders, kind)
        return Path(text).expanduser() if text else None


def load_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the user's settings; without a file they are empty.

    Raises:
        SettingsError: the file or a value in it is wrong.
    """
    config = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    path = config / "hpcdl" / "settings.yaml"
    return yamlfile.load(path, Settings, SettingsError) if path.exists() else Settings()
