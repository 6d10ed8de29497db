"""`hpcdl fetch` and `hpcdl data`: which data sets there are, what is here, and bringing it into shape."""

import typer

app = typer.Typer(help="Data sets: which there are, what is here, and bringing them into shape.", no_args_is_help=True)


def fetch(data: str = typer.Argument(..., help="The data set: mnist or fashion_mnist.")) -> None:
    """Download a data set, once, on a machine with internet."""
    from hpcdl.train.data import fetch, load_dataset

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
