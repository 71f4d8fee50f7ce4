"""``calotype txt2img PROMPT``: pictures from words."""

from typing import Annotated

import typer

from calotype.cli.asking import Ask, asking
from calotype.cli.making import make
from calotype.errors import CalotypeError


@asking("Words", "Sampling", "The sampler's own choices", "Guidance", "SDXL", "Beyond the training resolution")
def txt2img(prompt: Annotated[str, typer.Argument(help="What the pictures show.")], ask: Ask) -> None:
    """Make pictures from words.

    Example: calotype txt2img "a red apple to the left of a cat on a blue background" --seed 7 -n 4 -o out/
    """
    if not prompt.strip():
        raise CalotypeError('the prompt is empty: say what to draw, for instance "a cat on a blue background".')
    make(ask, ask.recipes(prompt=prompt))
