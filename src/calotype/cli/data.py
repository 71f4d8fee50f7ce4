"""``calotype data fetch-art``: what the embedded model learns from."""

from typing import Annotated

import typer

from calotype.cli.usage import help_alone

data = typer.Typer(name="data")


@data.callback(invoke_without_command=True)
def _data(context: typer.Context) -> None:
    """The world that the embedded model learns."""
    help_alone(context)


@data.command()
def fetch_art(
    style: Annotated[
        list[str] | None, typer.Option(help="noto, fluent-flat, fluent or twemoji; may be repeated. Without it: noto.")
    ] = None,
) -> None:
    """Fetch the emoji art and its names, from Debian and npm by their own clients, without root.

    Example: calotype data fetch-art --style noto
    """
    from calotype.data.art import fetch_art

    typer.echo(fetch_art(lambda line: typer.echo(line, err=True), tuple(style or ("noto",))))
