"""`hpcdl look` and `hpcdl predict-images`: what a trained network does, and how it comes to it."""

from pathlib import Path

import typer

from hpcdl.cli.run import TRAINING_VARIABLES

NETWORK = typer.Argument(..., metavar="RUN", help="A run's folder, a checkpoint in it, or a model.keras.")


def look(
    network: Path = NETWORK,
    image: str = typer.Option("0", "--image", help="A file, or the number of a test input."),
    layer: str | None = typer.Option(None, "--layer", help="Whose activations and patches; else the last convolution."),
    target: str | None = typer.Option(None, "--class", help="Name or number of an output; else the predicted class."),
    unit: int | None = typer.Option(None, "--unit", min=0, help="A channel of the layer, for patches and ascent."),
    data: str | None = typer.Option(None, "--data", help="The data set; else the one of the run."),
    samples: int = typer.Option(2000, "--samples", min=1, help="Test inputs to search for patches and neighbours."),
    folder: Path = typer.Option(Path("look"), "-o", "--output", help="The folder for the pictures."),
) -> None:
    """Show what a trained network sees in an image or a signal: pictures, and a page with all."""
    _prepare_tensorflow()
    from hpcdl.train.quiet import without_notices

    with without_notices():
        from hpcdl.train.look.index import write_index
        from hpcdl.train.look.look import Wish, pictures, prepare

        ready = prepare(network, Wish(image, data, layer, target, unit, samples))
    print(f"{ready.trained.path}: {ready.of}")
    made = []
    for picture in pictures(ready, folder):
        made.append(picture)
        print(f"{folder / picture.name}.png, .pdf  {picture.about}", flush=True)
    if ready.data is None:
        print("No patches and neighbours: they need a data set; name one by --data.")
    print(write_index(ready, made, folder))


def predict_images(
    network: Path = NETWORK,
    inputs: str = typer.Argument(
        ..., metavar="FOLDER|DATASET", help="A folder of images, or a data set's test inputs."
    ),
    output: Path = typer.Option(
        Path("predictions.csv"), "-o", "--output", help="The table, .csv or .parquet; the rest lies beside it."
    ),
    num_ranks: int | None = typer.Option(
        None, "-n", "--ranks", min=1, help="Start so many MPI ranks here; without it this process is one rank."
    ),
    data: str | None = typer.Option(
        None, "--data", help="The data set that names the classes; else the one of the run."
    ),
    strict: bool = typer.Option(False, "--strict", help="Stop at an input that cannot be read, instead of naming it."),
) -> None:
    """Predict a folder of images, or a test set, on all ranks; with known classes also say how good it is."""
    import subprocess
    import sys

    from hpcdl.run.local import mpirun_command, mpirun_environment

    if num_ranks is not None and num_ranks > 1:
        options = ["-o", str(output), *(["--data", data] if data else []), *(["--strict"] if strict else [])]
        program = [sys.executable, "-m", "hpcdl", "predict-images", *options, "--", str(network), inputs]
        ended = subprocess.run(mpirun_command(num_ranks, program), env=mpirun_environment(num_ranks))
        raise typer.Exit(ended.returncode if ended.returncode >= 0 else 128 - ended.returncode)
    _prepare_tensorflow()
    from hpcdl.train.quiet import without_notices

    with without_notices():
        from hpcdl.train.predict.predict import Wish
        from hpcdl.train.predict.predict import predict_images as predict
        from hpcdl.train.world import run_and_exit
    run_and_exit(predict, Wish(network, inputs, output, data, strict))


def _prepare_tensorflow() -> None:
    import os

    os.environ.update({name: value for name, value in TRAINING_VARIABLES.items() if name not in os.environ})
