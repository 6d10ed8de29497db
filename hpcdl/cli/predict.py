"""`hpcdl predict`: how a job would scale at a site."""

from pathlib import Path

import typer

from hpcdl.cli.collect import Format, chosen_format, print_table, warn, write_table
from hpcdl.cli.complete import site_names
from hpcdl.cli.run import SET_OPTION


def predict(
    job_file: Path = typer.Argument(..., metavar="JOB", help="The job file (YAML)."),
    site_name: str | None = typer.Option(
        None, "--site", autocompletion=site_names, help="The site; by default the one of your settings, or local."
    ),
    nodes: str | None = typer.Option(
        None, "--nodes", metavar="1,2,4,...", help="Numbers of nodes; else powers of two up to 512 ranks."
    ),
    changes: list[str] = SET_OPTION,
    measured: list[Path] = typer.Option(
        [], "--measured", metavar="RUN", help="A run of this job: the fewest ranks tell the speed, others are compared."
    ),
    images_per_s: float | None = typer.Option(
        None, "--images-per-second", help="The speed of one rank alone, instead of a measured run."
    ),
    bandwidth: float | None = typer.Option(
        None, "--bandwidth", metavar="GB/S", help="Of a node's network cards together, each direction."
    ),
    latency: float | None = typer.Option(None, "--latency", metavar="US", help="Of one message, in microseconds."),
    inner: float | None = typer.Option(
        None, "--node-bandwidth", metavar="GB/S", help="Of one rank to another of its node, each direction."
    ),
    format_: Format = typer.Option(None, "--format", help="As of hpcdl collect."),
    output: Path = typer.Option(None, "-o", "--output", help="Write to this file; its suffix tells the format."),
    plots: Path = typer.Option(
        None, "--plots", metavar="FOLDER", help="Plot speed-up and efficiency: PNG, SVG and PDF."
    ),
) -> None:
    """Predict images/s, efficiency, time and hours of a job on many nodes, from least to most."""
    import os

    from hpcdl.cli.run import TRAINING_VARIABLES
    from hpcdl.job import load_job, parse_changes
    from hpcdl.scaling import known
    from hpcdl.scaling import predict as model
    from hpcdl.scaling.table import plots as drawn
    from hpcdl.scaling.table import table
    from hpcdl.scaling.workload import read_measured, workload
    from hpcdl.settings import load_settings
    from hpcdl.site import load_site

    options = {
        "--images-per-second": images_per_s,
        "--bandwidth": bandwidth,
        "--latency": latency,
        "--node-bandwidth": inner,
    }
    for option, value in options.items():
        _check_positive(option, value)
    chosen = chosen_format(format_, output)
    job = load_job(job_file, parse_changes(changes))
    counts = _counts(nodes) if nodes is not None else model.default_nodes(job)
    settings = load_settings()
    site = load_site(site_name or settings.site, settings.folder("sites"))
    place = known.find_place(job, site, counts)
    network = known.network(place, counts, bandwidth, latency, inner)
    runs = [read_measured(folder, job, warn) for folder in measured]
    os.environ.update({name: value for name, value in TRAINING_VARIABLES.items() if name not in os.environ})
    work = workload(job, runs)
    one_rank = known.speed(job, place, work, images_per_s, runs)
    prediction = model.predict(job, place, counts, work, one_rank, network, runs)
    if output:
        write_table(output, table(prediction), chosen)
    else:
        print_table(table(prediction), chosen)
    if plots:
        from hpcdl.cli.report import write_plots

        write_plots(plots, drawn(prediction))


def _check_positive(option: str, value: float | None) -> None:
    import math

    from hpcdl.errors import HpcdlError

    if value is not None and not (value > 0 and math.isfinite(value)):
        raise HpcdlError(f"{option} {value}: give a number above 0.")


def _counts(text: str) -> list[int]:
    """Return the numbers of nodes that `1,2,4` stands for."""
    from hpcdl.errors import HpcdlError

    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() and 0 < int(word) <= 10**6 for word in words):
        raise HpcdlError(f"--nodes {text!r} are no numbers of nodes; write whole numbers from 1 on, as 1,2,4.")
    return [int(word) for word in words]
