"""Make the pictures of these pages with the embedded model, each sheet from the recipes its page talks of.

python docs/pictures.py            all of them, into docs/pictures/
python docs/pictures.py img2img    one
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

import calotype
from calotype.api import Studio
from calotype.imaging.sheet import contact_sheet
from calotype.recipe import Recipe

FOLDER = Path(__file__).with_name("pictures")
PROMPT, APPLE = "a cat on a blue background", "an apple on a green background"
STEPS = 20
SEED = 7

Sheet = list[tuple[str, Image.Image]]
"""Pictures from left to right, each with its caption."""


def prompts(studio: Studio) -> Sheet:
    """The same words and seed, weighted and scheduled."""
    asked = [
        "a cat and an apple on a blue background",
        "a (cat:0.5) and an apple on a blue background",
        "a cat and an (apple:0.5) on a blue background",
        "[a cat:an apple:0.3] on a blue background",
        "[a cat|an apple] on a blue background",
    ]
    return [(prompt, _made(studio, prompt=prompt)) for prompt in asked]


def guidance(studio: Studio) -> Sheet:
    """The same prompt and seed, followed more and more strongly."""
    asked: list[dict[str, float]] = [
        {"cfg_scale": 1}, {"cfg_scale": 4}, {"cfg_scale": 12}, {"cfg_scale": 12, "cfg_rescale": 0.7},
        {"cfg_scale": 12, "cfg_end": 0.6},
    ]  # fmt: skip
    return [(_told(fields), _made(studio, **fields)) for fields in asked]


def img2img(studio: Studio) -> Sheet:
    """A rough sketch, and what becomes of it."""
    sketch = _sketch(_side(studio))
    strengths = (0.3, 0.6, 0.9)
    made = [_made(studio, prompt=APPLE, init_image=sketch, denoising_strength=strength) for strength in strengths]
    return [
        ("a sketch", sketch),
        *((_told({"denoising_strength": s}), p) for s, p in zip(strengths, made, strict=True)),
    ]


def inpainting(studio: Studio) -> Sheet:
    """A picture, a mask, and two things painted into it."""
    side = _side(studio)
    before = _made(studio)
    mask = Image.new("L", (side, side))
    mask.paste(255, (side // 8, side // 8, side - side // 8, side - side // 8))
    asked = ("an apple on a blue background", "a dog on a blue background")
    painted = [(each, _made(studio, prompt=each, init_image=before, mask=mask, denoising_strength=1)) for each in asked]
    return [(PROMPT, before), ("the mask", mask), *painted]


def outpainting(studio: Studio) -> Sheet:
    """A picture, and more of it."""
    before = _made(studio)
    border = _side(studio) // 4
    wide = _made(studio, init_image=before, outpaint=(border, 0, border, 0), denoising_strength=1)
    return [(PROMPT, before), (f"--outpaint {border},0,{border},0", wide)]


def variations(studio: Studio) -> Sheet:
    """On the way from one seed's picture to another's."""
    asked = [{"subseed_strength": strength} for strength in (0, 0.1, 0.3, 0.6, 1)]
    return [(_told(fields), _made(studio, subseed=8, **fields)) for fields in asked]


def large(studio: Studio) -> Sheet:
    """Twice the model's size: at once, only enlarged, and with a second pass."""
    double = 2 * _side(studio)
    asked: list[dict[str, Any]] = [
        {"width": double, "height": double},
        {"hr_scale": 2, "hr_denoising_strength": 0, "hr_upscaler": "Lanczos"},
        {"hr_scale": 2, "hr_denoising_strength": 0.5},
    ]
    return [(_told(fields), _made(studio, **fields)) for fields in asked]


def latents(studio: Studio) -> Sheet:
    """Previews on the way, and the picture."""
    recipe = Recipe(prompt=PROMPT, seed=SEED, steps=STEPS)
    states = list(studio.states(recipe))
    every = max(STEPS // 4, 1)
    shown = [(f"step {state.index}", studio.preview(state)) for state in states[every - 1 :: every]]
    return [*shown, ("the picture", studio.develop(recipe, states))]


def batches(studio: Studio) -> Sheet:
    """A grid: a prompt for each row, a sampler for each column."""
    asked = [(prompt, sampler) for prompt in (PROMPT, APPLE) for sampler in ("Euler", "DDIM", "DPM++ 2M", "UniPC")]
    return [(f"{prompt}, {sampler}", _made(studio, prompt=prompt, sampler=sampler)) for prompt, sampler in asked]


SHEETS: dict[str, Callable[[Studio], Sheet]] = {
    sheet.__name__: sheet
    for sheet in (prompts, guidance, img2img, inpainting, outpainting, variations, large, latents, batches)
}


def _made(studio: Studio, **fields: Any) -> Image.Image:
    return studio.generate(**{"prompt": PROMPT, "seed": SEED, "steps": STEPS, **fields})


def _told(fields: dict[str, Any]) -> str:
    return " ".join(f"--{name.replace('_', '-')} {value}" for name, value in fields.items())


def _side(studio: Studio) -> int:
    return studio.config.side


def _sketch(side: int) -> Image.Image:
    """A red disc with a brown stalk on green, as drawn with a mouse."""
    sketch = Image.new("RGB", (side, side), (70, 170, 90))
    draw = ImageDraw.Draw(sketch)
    draw.ellipse([side * share for share in (0.25, 0.3, 0.78, 0.82)], fill=(205, 45, 50))
    draw.line([side * share for share in (0.5, 0.32, 0.56, 0.18)], fill=(110, 70, 40), width=side // 24)
    return sketch


def main(names: list[str]) -> None:
    """Write the sheets."""
    studio = calotype.load()
    FOLDER.mkdir(exist_ok=True)
    for name in names or SHEETS:
        sheet = SHEETS[name](studio)
        captions, pictures = [caption for caption, _ in sheet], [picture for _, picture in sheet]
        path = FOLDER / f"{name}.png"
        contact_sheet(pictures, captions, columns=4 if name == "batches" else 5).save(path, optimize=True)
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
