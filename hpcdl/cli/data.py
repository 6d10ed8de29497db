"""`hpcdl fetch` and `hpcdl data`: which data sets there are, what is here, and bringing it into shape."""

from pathlib import Path

import typer

app = typer.Typer(help="Data sets: which there are, what is here, and bringing them into shape.", no_args_is_help=True)

WORKERS_OPTION = typer.Option(None, "--workers", min=1, help="Threads; as many as there are cores if absent.")
CHECK_ROWS = 256
"""Inputs that `info --check` decodes at a time."""


def fetch(
    data: str = typer.Argument(
        ..., metavar="DATA", help="The data set: mnist, fashion_mnist or cifar10; or https://... of a file of weights."
    ),
    checksum: str | None = typer.Option(None, "--checksum", help="Of a file of weights: its MD5 or SHA-256."),
) -> None:
    """Download a data set, or the weights of a network, once, on a machine with internet."""
    from hpcdl.errors import DataError
    from hpcdl.train.data import fetch, load_dataset
    from hpcdl.train.data.weights import fetch_weights

    if "://" in data:
        if checksum is None:
            raise DataError(f"{data}: say by --checksum which MD5 or SHA-256 the file must have; its publisher does.")
        path = fetch_weights(data, checksum)
        print(f"{path}: checked; a job names it as `weights: {path.name}` under train.transfer.")
        return
    if checksum is not None:
        raise DataError(f"--checksum is for a file of weights; the checksums of {data} are known.")
    fetch(data)
    loaded = load_dataset(data)
    print(f"{data}: {len(loaded.train_inputs)} training and {len(loaded.test_inputs)} test images, checked.")


@app.command("list")
def list_() -> None:
    """Show the data sets that a job file can name, and whether they are here."""
    from rich.console import Console
    from rich.table import Table

    from hpcdl.train.data import SOURCES

    table = Table("data", "what", "here", "options", box=None, pad_edge=False)
    for name, source in SOURCES.items():
        options = ", ".join(f"{option}{'' if required else '?'}" for option, required in source.options.items())
        here = "" if "path" in source.options else ("yes" if source.is_here() else "no")
        table.add_row(name, source.about, here, options)
    Console().print(table)


@app.command()
def convert(
    source: Path = typer.Argument(..., metavar="FOLDER", help="Class folders: train/CLASS/*.jpg and test/ or val/."),
    out: Path = typer.Argument(..., metavar="OUT", help="The folder for the shards."),
    shards: int = typer.Option(16, "--shards", min=1, max=99999, help="Shards of the training images."),
    workers: int | None = WORKERS_OPTION,
    skip_corrupt: bool = typer.Option(
        False, "--skip-corrupt", help="Leave corrupt images out; skipped.txt names them."
    ),
) -> None:
    """Turn class folders into TFRecord shards with an index. Called again after an interruption, it goes on."""
    import os

    from hpcdl.train.data.convert import convert

    index, corrupt = convert(source, out, shards, workers or os.cpu_count() or 1, skip_corrupt, typer.echo)
    counts = " and ".join(f"{len(index.arrays[f'{split}_label'])} {split}" for split in ("train", "test"))
    left_out = f"; {len(corrupt)} corrupt ones left out, see {out / 'skipped.txt'}" if corrupt else ""
    typer.echo(f"{out}: {counts} images of {len(index.classes)} classes in {len(index.shards)} shards{left_out}.")


@app.command()
def index(
    folder: Path = typer.Argument(..., metavar="FOLDER", help="TFRecord shards: train-00000-of-00016, ..."),
    workers: int | None = WORKERS_OPTION,
) -> None:
    """Write the index of TFRecord shards that another program has made."""
    import os

    from hpcdl.train.data.tfrecord import index_folder

    made = index_folder(folder, workers or os.cpu_count() or 1)
    typer.echo(f"{folder}: {len(made.shards)} shards, {len(made.classes)} classes.")


@app.command()
def info(
    data: str = typer.Argument(..., help="The data set: its name, or a job file whose data it is."),
    options: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help="An option of it: path=imagenet."),
    check: bool = typer.Option(False, "--check", help="Read everything: decode all images, compare all checksums."),
) -> None:
    """Say what is known of a data set: sizes, shapes, classes, checksum."""
    import os

    import numpy as np

    from hpcdl.data import Data
    from hpcdl.job import load_job, parse_changes
    from hpcdl.train.data import load_dataset
    from hpcdl.train.data.places import find_path
    from hpcdl.train.data.tfrecord import check_shards

    if data.endswith((".yaml", ".yml")):
        chosen = load_job(data, parse_changes([f"train.data.{option}" for option in options])).training.data
    else:
        chosen = Data(name=data, **parse_changes(options))
    found = load_dataset(chosen)
    for part, inputs in (("train", found.train_inputs), ("test", found.test_inputs)):
        size = int(np.prod(inputs.shape)) * inputs.dtype.itemsize
        typer.echo(f"{part}: {len(inputs)} x {tuple(inputs.shape[1:])} {inputs.dtype}, {size / 2**20:.1f} MiB decoded")
    if found.num_classes is None:
        typer.echo(f"targets: {', '.join(found.target_names)}")
    else:
        shown = ", ".join(found.class_names[:10]) + (", ..." if len(found.class_names) > 10 else "")
        typer.echo(f"classes: {found.num_classes}" + (f" ({shown})" if shown else ""))
    if check:
        if chosen.name == "tfrecord":
            check_shards(find_path(str(chosen.path)), os.cpu_count() or 1)
        for inputs in (found.train_inputs, found.test_inputs):
            for start in range(0, len(inputs), CHECK_ROWS):
                np.asarray(inputs[start : start + CHECK_ROWS])
        typer.echo("checked: every input could be read")
    typer.echo(f"sha256: {found.digest}")
