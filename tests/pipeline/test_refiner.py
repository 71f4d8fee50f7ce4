"""A refiner gets latents, and whatever it is shown of pictures is in the base's scale, too."""

import shutil
from pathlib import Path

from PIL import Image
from safetensors.torch import load_file, save_file

from calotype.api import load
from calotype.imaging.reading import inline
from calotype.recipe import Recipe


def test_the_base_s_autoencoder_encodes_for_the_refiner(tiny_folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(tiny_folder, tmp_path / "other")
    weights = other / "vae" / "diffusion_pytorch_model.safetensors"
    save_file({name: value * 1.5 for name, value in load_file(weights).items()}, weights)
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    recipe = Recipe(
        prompt="a", seed=7, steps=3, init_image=inline(Image.linear_gradient("L")), mask=inline(mask), width=64,
        height=64,
    )  # fmt: skip
    studio = load(tiny_folder)
    own, others = (recipe.but(refiner_checkpoint=str(folder), refiner_switch_at=0.5) for folder in (tiny_folder, other))
    one, two = (studio.develop(each, studio.states(each)) for each in (own, others))
    assert one.record.digests == two.record.digests
    assert one.tobytes() == two.tobytes()
