"""``calotype pull OWNER/NAME``: a model from the hub, to the local cache. The only command that fetches models."""

from typing import Annotated

import typer


def pull(
    name: Annotated[str, typer.Argument(help="The model's name on the hub, such as owner/name.")],
    file: Annotated[list[str] | None, typer.Option(help="Fetch this file only; may be given several times.")] = None,
    variant: Annotated[str | None, typer.Option(help="Which weights to choose where there are several: fp16.")] = None,
) -> None:
    """Fetch a model into the hub's local cache, from where its name opens it.

    Example: calotype pull stable-diffusion-v1-5/stable-diffusion-v1-5 --variant fp16
    """
    from calotype.checkpoints import hub

    typer.echo(hub.pull(name, file or (), variant))
