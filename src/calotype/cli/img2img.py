"""``calotype img2img PICTURE PROMPT``: pictures from a picture and words."""

from pathlib import Path
from typing import Annotated

import typer

from calotype.cli.asking import Ask, asking
from calotype.cli.making import make
from calotype.files import check_readable


@asking(
    "Words",
    "The picture to begin with",
    "Sampling",
    "The sampler's own choices",
    "Guidance",
    "SDXL",
    "Beyond the training resolution",
)
def img2img(
    picture: Annotated[Path, typer.Argument(help="The picture to begin with: a photograph, a sketch, an earlier one.")],
    prompt: Annotated[str, typer.Argument(help="What the new pictures show.")],
    ask: Ask,
) -> None:
    """Make pictures from a picture and words.

    The less the denoising strength, the more of the picture stays. A model made for editing (InstructPix2Pix) takes an
    instruction as its prompt.

    Example: calotype img2img sketch.png "a red apple on a blue background" --denoising-strength 0.6 --seed 7 -o out/
    """
    check_readable(picture, "picture", "the picture comes first, then the prompt")
    make(ask, ask.recipes(prompt=prompt, init_image=str(picture)))
