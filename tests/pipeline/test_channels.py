"""Jobs on models that were made for another: of 9 channels for inpainting, of 8 for editing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from calotype.api import Studio, load
from calotype.errors import CalotypeError
from calotype.nn.unet import UNet

PICTURE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8))
MASK = Image.new("L", (64, 64))
MASK.paste(255, (16, 16, 48, 64))
OUTSIDE = np.asarray(MASK) == 0


def _studio(folder: Path, channels: int) -> Studio:
    studio = load(folder)
    config = replace(studio.config, unet=replace(studio.config.unet, in_channels=channels))
    with torch.random.fork_rng():
        torch.manual_seed(channels)
        return replace(studio, config=config, unet=UNet(config.unet).eval())


@pytest.mark.parametrize("channels", [4, 9])
def test_words_and_pictures_work_on_models_with_and_without_a_mask(channels: int, tiny_folder: Path) -> None:
    """Where there is no mask, a model of 9 channels is told that everything is to be painted."""
    studio = _studio(tiny_folder, channels)
    seen = []
    hook = studio.unet.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    assert studio.generate("a", seed=1, steps=1).size == (64, 64)
    assert studio.generate("a", seed=1, steps=2, init_image=PICTURE, denoising_strength=0.5).size == (64, 64)
    hook.remove()
    if channels == 9:
        assert all((shown[:, 4] == 1).all() for shown in seen)


@pytest.mark.parametrize("channels", [4, 8, 9])
def test_the_outside_of_a_mask_stays_on_every_model(channels: int, tiny_folder: Path) -> None:
    fields = {"seed": 1, "steps": 2, "init_image": PICTURE, "mask": MASK, "mask_blur": 0, "denoising_strength": 1}
    after = np.asarray(_studio(tiny_folder, channels).generate("a", **fields))
    assert (after == np.asarray(PICTURE))[OUTSIDE].all()
    assert (after != np.asarray(PICTURE))[~OUTSIDE].any()


def _thin(left: int, right: int) -> Image.Image:
    """A mask of one line from top to bottom."""
    mask = Image.new("L", (64, 64))
    mask.paste(255, (left, 0, right, 64))
    return mask


@pytest.mark.parametrize("channels", [4, 9])
def test_a_mask_that_would_paint_nothing_is_told_before_a_network_is_asked(channels: int, tiny_folder: Path) -> None:
    studio = _studio(tiny_folder, channels)
    hook = studio.unet.register_forward_pre_hook(lambda *_: pytest.fail("the U-Net was asked"))
    fields = {"seed": 1, "steps": 2, "init_image": PICTURE, "mask": _thin(16, 20), "denoising_strength": 0.7}
    with pytest.raises(CalotypeError, match=r"the mask is too thin.*lower --mask-blur") as error:
        studio.generate("a", **fields)
    assert "\n" not in str(error.value)
    assert ("--no-mask-round" in str(error.value)) == (channels == 4)
    hook.remove()
    remedies = [{"mask": _thin(16, 26)}, {"mask_blur": 0, "mask": _thin(16, 22)}]
    for remedy in [*remedies, {"mask_round": False}] if channels == 4 else remedies:
        painted = np.asarray(studio.generate("a", **fields | remedy, keep_unmasked=False))
        assert (painted != np.asarray(studio.generate("a", **fields | remedy | {"denoising_strength": 0}))).any()


def test_a_mask_too_thin_for_the_second_pass_is_told_before_the_first(tiny_folder: Path) -> None:
    studio = _studio(tiny_folder, 4)
    fields = {"seed": 1, "steps": 2, "init_image": PICTURE, "mask": _thin(10, 15), "mask_blur": 0}
    assert studio.generate("a", **fields).tobytes() != PICTURE.tobytes()
    hook = studio.unet.register_forward_pre_hook(lambda *_: pytest.fail("the U-Net was asked"))
    with pytest.raises(CalotypeError, match="the mask is too thin"):
        studio.generate("a", **fields, hr_scale=1.25)
    hook.remove()


def test_an_editing_model_wants_a_picture(tiny_folder: Path) -> None:
    with pytest.raises(CalotypeError, match="edits pictures: give it one with init_image"):
        _studio(tiny_folder, 8).generate("a", seed=1, steps=1)


def test_a_model_for_depth_maps_is_told(tiny_folder: Path) -> None:
    with pytest.raises(CalotypeError, match="draws from depth maps"):
        _studio(tiny_folder, 5).generate("a", seed=1, steps=1)
