"""What a model cannot make is told before any of its networks is asked."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from calotype.api import Studio, load
from calotype.errors import CalotypeError
from calotype.imaging.reading import inline
from calotype.nn.clip import TextEncoder
from calotype.nn.unet import UNet
from calotype.nn.vae import Autoencoder
from calotype.pipeline import states
from calotype.recipe import Recipe

PICTURE, BLACK = inline(Image.new("RGB", (64, 64))), inline(Image.new("L", (64, 64)))


@pytest.fixture
def studio(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    """One whose networks must not be asked."""
    for network in (TextEncoder, UNet, Autoencoder):
        monkeypatch.setattr(network, "__call__", lambda *_: pytest.fail("computed"))
    monkeypatch.setattr(Autoencoder, "encode", lambda *_: pytest.fail("encoded"))
    return load(tiny_folder)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"prompt": "<lora:x:1>"}, "asks for the LoRA 'x'"),
        ({"hr_scale": 1.5, "hr_prompt": "<lora:x:1>"}, "asks for the LoRA 'x'"),
        ({"hr_scale": 1.5, "hr_negative_prompt": "[" * 200}, "200 brackets open at once"),
        ({"clip_skip": 12}, "clip_skip is 12, but the text encoder has 2 layers"),
        ({"prompt_style": "comfyui", "emphasis": "Ignore"}, "the comfyui style has none"),
        ({"scheduler": "align_your_steps"}, "align_your_steps is made for"),
        ({"hr_scale": 1.5, "hr_scheduler": "align_your_steps"}, "align_your_steps is made for"),
        ({"sampler": "Euler", "eta": 1}, "sampler Euler has no option 'eta'"),
        ({"sampler": "Euler", "hr_scale": 1.5, "hr_sampler": "DPM++ 2M", "eta": 1}, "Euler has no option 'eta'"),
        ({"denoising_strength": 0.5}, "there is none: give init_image"),
        ({"init_image": "none.png"}, "there is no picture 'none.png'"),
        ({"init_image": PICTURE, "mask": BLACK}, "the mask leaves nothing to paint"),
        ({"refiner_checkpoint": "none"}, "none"),
    ],
    ids=str,
)
def test_recipes_that_no_model_can_follow(fields: dict[str, Any], message: str, studio: Studio) -> None:
    with pytest.raises(CalotypeError, match=message):
        studio.check(Recipe(**fields))


def test_the_pipeline_itself_refuses_what_it_could_only_drop(studio: Studio) -> None:
    with pytest.raises(CalotypeError, match="asks for the LoRA 'x'"):
        next(states(studio, Recipe(prompt="<lora:x:1>")))


@pytest.mark.parametrize(("channels", "message"), [(8, "edits pictures"), (5, "draws from depth maps")])
def test_models_that_want_more_than_words(channels: int, message: str, studio: Studio) -> None:
    unet = replace(studio.config.unet, in_channels=channels)
    with pytest.raises(CalotypeError, match=message):
        replace(studio, config=replace(studio.config, unet=unet)).check(Recipe(prompt="a"))


def test_what_can_be_made_passes(studio: Studio) -> None:
    studio.check(Recipe(prompt="a [b:c:0.5]", hr_scale=1.5))
    studio.check(Recipe(prompt="a", init_image=PICTURE, mask=PICTURE, mask_invert=True, denoising_strength=0))
