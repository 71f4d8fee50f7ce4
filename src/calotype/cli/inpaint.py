"""``calotype inpaint PICTURE PROMPT``: a part of a picture made anew, or more of it than there was."""

from pathlib import Path
from typing import Annotated

import typer

from calotype.cli.asking import Ask, asking
from calotype.cli.making import make
from calotype.errors import CalotypeError
from calotype.files import check_readable


@asking(
    "Words",
    "The mask",
    "The picture to begin with",
    "Sampling",
    "The sampler's own choices",
    "Guidance",
    "SDXL",
    "Beyond the training resolution",
)
def inpaint(
    picture: Annotated[Path, typer.Argument(help="The picture to paint on.")],
    prompt: Annotated[str, typer.Argument(help="What the picture shows when it is done.")],
    ask: Ask,
    mask: Annotated[Path | None, typer.Option(help="A picture that is white where to paint.")] = None,
) -> None:
    """Paint a part of a picture anew, or beyond its borders. What the mask, faded by --mask-blur, leaves out stays,
    to the byte if the picture's sides are multiples of 8: others are resized first.

    Examples: calotype inpaint photo.png "a cat on a blue background" --mask mask.png --seed 7 -o out/

    calotype inpaint photo.png "a cat on a blue background" --outpaint 64,0,64,0 --denoising-strength 1 -o out/
    """
    if mask is None and ask.fields["outpaint"] is None:
        raise CalotypeError("there is nothing to paint: give a --mask, or borders to --outpaint.")
    check_readable(picture, "picture", "the picture comes first, then the prompt")
    if mask is not None:
        check_readable(mask, "mask")
    make(ask, ask.recipes(prompt=prompt, init_image=str(picture), mask=None if mask is None else str(mask)))
