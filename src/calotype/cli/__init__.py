"""The command line: one file per command. Nothing here imports torch before a command needs it."""

from collections.abc import Sequence
from typing import Annotated

import typer

import calotype
from calotype.cli.again import again
from calotype.cli.batch import batch
from calotype.cli.convert import convert
from calotype.cli.data import data
from calotype.cli.evaluate import evaluate
from calotype.cli.grid import grid
from calotype.cli.img2img import img2img
from calotype.cli.info import info
from calotype.cli.inpaint import inpaint
from calotype.cli.pull import pull
from calotype.cli.resume import resume
from calotype.cli.samplers import samplers
from calotype.cli.study import study
from calotype.cli.terminal import tell_mistake
from calotype.cli.tokens import tokens
from calotype.cli.train import train
from calotype.cli.txt2img import txt2img
from calotype.cli.usage import help_alone, in_words
from calotype.cli.verify import verify
from calotype.errors import CalotypeError

_PANELS = {
    "Make pictures": (txt2img, img2img, inpaint, batch, grid),
    "Make them again": (again, verify, resume),
    "Look things up": (tokens, samplers),
    "Models from elsewhere": (info, convert, pull),
    "Teach and judge": (train, evaluate),
}

app = typer.Typer(
    name="calotype",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for panel, commands in _PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(data, rich_help_panel="Teach and judge")
app.add_typer(study, rich_help_panel="Teach and judge")


@app.callback(invoke_without_command=True)
def _calotype(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Say which version this is.")] = False,
) -> None:
    """Stable Diffusion, whole and readable.

    Example: calotype txt2img "a cat on a blue background" --seed 7 -o cat.png

    Without --model this takes the small model that comes with it: flat scenes of emoji, 128 x 128 pixels. A model
    makes its best pictures at the size that it was trained on: 512 x 512 for Stable Diffusion 1, 512 x 512 or
    768 x 768 for 2, 1024 x 1024 for SDXL. Sides are multiples of 8.

    `calotype COMMAND --help` tells more about each command.
    """
    if version:
        typer.echo(f"calotype {calotype.__version__}")
    else:
        help_alone(context)


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 2 after a mistake, told in one line, and 130 after Ctrl-C."""
    try:
        status = app(args, prog_name="calotype", standalone_mode=False)
    except (CalotypeError, typer.TyperException) as error:
        tell_mistake(in_words(error) if isinstance(error, typer.TyperException) else str(error))
        return 2
    except (KeyboardInterrupt, typer.Abort):
        return 130
    return status if isinstance(status, int) else 0
