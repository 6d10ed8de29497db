"""`hpcdl sites` and `hpcdl schema`: the profiles of sites, and what the files may hold."""

from pathlib import Path

import typer

from hpcdl.cli.script import write_or_print

sites = typer.Typer(name="sites", help="The profiles of sites: which there are, what one says, where this is.")


@sites.command("list")
def list_sites() -> None:
    """Print the name and the title of every profile; one's own come before those that hpcdl brings."""
    from hpcdl.settings import load_settings
    from hpcdl.site import load_site, site_files

    found = [load_site(str(path)) for path in site_files(load_settings().folder("sites")).values()]
    width = max(len(site.name) for site in found)
    for site in sorted(found, key=lambda site: site.name):
        typer.echo(f"{site.name:{width}}  {site.title}")


@sites.command()
def show(name: str = typer.Argument(..., help="The name of a profile, or its path.")) -> None:
    """Print a profile as it stands, with sources and dates: where to begin one's own."""
    from hpcdl.settings import load_settings
    from hpcdl.site import find_site, load_site

    path = find_site(name, load_settings().folder("sites"))
    load_site(str(path))  # a faulty one is not shown as if it could be used
    typer.echo(f"# {path}")
    typer.echo(path.read_text(encoding="utf-8"), nl=False)


@sites.command("detect")
def detect_site() -> None:
    """Print the name of the site that this machine belongs to."""
    from hpcdl.errors import SiteError
    from hpcdl.settings import load_settings
    from hpcdl.site import detect, load_site, site_files

    site = detect(load_site(str(path)) for path in site_files(load_settings().folder("sites")).values())
    if site is None:
        raise SiteError(
            "no profile knows this machine. Name one by --site, or write your own with `signs:` "
            "(variables, files or host names) into your folder of sites; `hpcdl sites show generic` is a beginning."
        )
    typer.echo(site.name)


@sites.command("import")
def import_site(
    name: str = typer.Argument(..., help="The name for the site."),
    output: Path | None = typer.Option(None, "-o", "--output", help="Write the profile to this file."),
) -> None:
    """Print a first profile of the cluster that one is on, from what its Slurm says of partitions and nodes."""
    from datetime import date

    from hpcdl.survey import ask_slurm, profile

    write_or_print(profile(name, *ask_slurm(), date.today()), output)


def schema(kind: str = typer.Argument(..., metavar="job|chain|site|settings", help="The kind of file.")) -> None:
    """Print the JSON Schema of a kind of file, for an editor that checks while one types."""
    import json

    from hpcdl.errors import HpcdlError
    from hpcdl.schema import MODELS, json_schema

    if kind not in MODELS:
        raise HpcdlError(f"no schema of {kind!r}; there are {', '.join(MODELS)}.")
    typer.echo(json.dumps(json_schema(kind), indent=2))
