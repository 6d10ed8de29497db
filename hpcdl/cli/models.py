"""`hpcdl models` and `hpcdl model summary`: which networks there are, and what one is made of."""

from typing import Any

import typer

model = typer.Typer(name="model", help="A network, by a name of `hpcdl models` or one's own as module:function.")

FORMAT_OPTION = typer.Option("text", "--format", metavar="text|markdown|json", help="How to print it.")


def models(form: str = FORMAT_OPTION) -> None:
    """List the networks: input, parameters and multiply-adds as published, paper."""
    from hpcdl.train.models.catalogue import MODELS

    columns = ("name", "input", "outputs", "parameters", "multiply-adds", "paper")
    _print_table(
        form,
        columns,
        [
            (name, entry.input_shape, entry.num_outputs, entry.parameters, entry.multiply_adds, entry.paper)
            for name, entry in MODELS.items()
        ],
    )


@model.callback()
def _group() -> None:
    """Keeps `summary` a word of its own while it is the only command."""


@model.command()
def summary(
    name: str = typer.Argument(..., help="A name of `hpcdl models`, or your own as package.module:function."),
    shape: str | None = typer.Option(None, "--input", metavar="HxWxC", help="The shape of one input: 32x32x3."),
    outputs: int | None = typer.Option(None, "--classes", min=1, help="The number of classes, or of numbers."),
    changes: list[str] = typer.Option(None, "--set", metavar="KEY=VALUE", help="An argument: zero_init_residual=true."),
    form: str = FORMAT_OPTION,
) -> None:
    """Print the layers of a network: activation shape and size, parameters, multiply-adds, receptive field."""
    import os
    import sys

    from hpcdl.cli.run import TRAINING_VARIABLES
    from hpcdl.errors import HpcdlError
    from hpcdl.job import parse_changes
    from hpcdl.network import Network
    from hpcdl.train.models.catalogue import MODELS

    arguments = parse_changes(changes)
    try:
        network = Network.model_validate({**arguments, "name": name})
    except ValueError as fault:
        raise HpcdlError(str(fault).partition("Value error, ")[2].partition(" [type=")[0]) from None
    entry = MODELS.get(name)
    if not shape and not entry:
        raise HpcdlError(f"{name} may have any input; say which by --input, such as --input 32x32x3.")
    input_shape = _shape(shape) if shape else entry.input_shape  # type: ignore[union-attr]

    os.environ.update({key: value for key, value in TRAINING_VARIABLES.items() if key not in os.environ})
    sys.path.insert(0, os.getcwd())
    from hpcdl.train.quiet import without_notices

    with without_notices():
        from hpcdl.train.models.summary import summarize

        rows = summarize(network.name, network.arguments, input_shape, outputs or (entry.num_outputs if entry else 10))
    columns = ("layer", "activation shape", "activation size", "parameters", "multiply-adds", "receptive field")
    table = [
        (row.layer, row.shape, row.size, row.parameters, row.multiply_adds, _field(row.receptive_field)) for row in rows
    ]
    unknown = sorted({row.layer for row in rows if row.multiply_adds is None})
    total = {
        "parameters": sum(row.parameters for row in rows),
        "statistics": sum(row.statistics for row in rows),
        "multiply_adds": sum(row.multiply_adds or 0 for row in rows),
        "without": unknown,
    }
    _print_table(form, columns, table, {"model": name, "input": input_shape, "total": total})
    if form != "json":
        typer.echo(f"\n{_sentence(total, input_shape)}")


def _field(field: Any) -> str | None:
    return None if field is None else str(field)


def _sentence(total: dict[str, Any], input_shape: tuple[int, ...]) -> str:
    """The last line of a summary."""
    statistics = f" and {total['statistics']:,} running statistics" if total["statistics"] else ""
    without = f", without {', '.join(total['without'])}, of which they are not known" if total["without"] else ""
    return (
        f"{total['parameters']:,} parameters{statistics}; {total['multiply_adds']:,} multiply-adds for one input of "
        f"{_text(input_shape)}{without}"
    )


def _shape(text: str) -> tuple[int, ...]:
    """Return the shape that `32x32x3` stands for."""
    from hpcdl.errors import HpcdlError

    sizes = text.split("x")
    if not all(size.isascii() and size.isdigit() and int(size) for size in sizes):
        raise HpcdlError(f"--input {text!r} is no shape; write height, width and channels as 32x32x3, or 6000x1.")
    return tuple(int(size) for size in sizes)


def _print_table(form: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]], about: Any = None) -> None:
    import json

    from hpcdl.errors import HpcdlError

    if form == "json":
        keys = [column.replace(" ", "_").replace("-", "_") for column in columns]
        listed = [dict(zip(keys, row, strict=True)) for row in rows]
        typer.echo(json.dumps({**about, "layers": listed} if about else listed, indent=1))
        return
    if form not in ("text", "markdown"):
        raise HpcdlError(f"--format {form!r}: there are text, markdown and json.")
    texts = [columns, *(tuple(_text(value) for value in row) for row in rows)]
    numbers = [all(isinstance(row[index], int | None) for row in rows) for index in range(len(columns))]
    widths = [max(len(row[index]) for row in texts) for index in range(len(columns))]
    lines = [
        [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numbers, strict=True)
        ]
        for row in texts
    ]
    if form == "markdown":
        rule = ["-" * (width - 1) + (":" if right else "-") for width, right in zip(widths, numbers, strict=True)]
        typer.echo("\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]]))
        return
    typer.echo("\n".join("  ".join(line).rstrip() for line in lines))


def _text(value: Any) -> str:
    """A value as people read it: 1,256,080, 28x28x1, and ? for what is not known."""
    if value is None:
        return "?"
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
