"""The command line: one module per subject, and the only folder that prints or exits.

The modules of this folder import nothing heavy at their top: what a command needs is imported inside its function,
so that `hpcdl --help` and `hpcdl render` answer at once on a login node.
"""

import sys

import typer

import hpcdl
from hpcdl.cli import (
    chain,
    check,
    collect,
    data,
    doctor,
    lint,
    look,
    models,
    predict,
    report,
    run,
    sandbox,
    script,
    search,
    sites,
    status,
    submit,
    sweep,
)
from hpcdl.errors import HpcdlError

app = typer.Typer(
    name="hpcdl",
    help="Deep-learning batch jobs for Slurm clusters: one job file to a batch script, a training, a result table.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(script.render)
app.command()(check.check)
app.command()(lint.lint)
app.command()(lint.explain)
app.command()(sweep.plan)
app.add_typer(sites.sites)
app.command()(sites.schema)
app.command()(run.run)
app.command()(run.resume)
app.command()(submit.submit)
app.command()(status.status)
app.command()(status.watch)
app.command()(status.logs)
app.command()(submit.cancel)
app.command()(submit.rerun)
app.command()(chain.chain)
app.command()(search.search)
app.command()(collect.collect)
app.command()(look.look)
app.command()(look.predict_images)
app.command()(report.report)
app.command()(predict.predict)
app.command()(run.train)
app.command()(data.fetch)
app.add_typer(data.app, name="data")
app.command()(models.models)
app.add_typer(models.model)
app.command()(doctor.doctor)
app.add_typer(sandbox.app, name="sandbox")


def _version(asked: bool) -> None:
    if asked:
        print(f"hpcdl {hpcdl.__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    pass


def main() -> None:
    """Run the command line; an error a user can put right is one sentence on standard error and its exit code."""
    try:
        app()
    except HpcdlError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
