"""Previews: fitted once for each model, better than any fixed rule, written on the way."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from calotype import cli
from calotype.api import Studio, load
from calotype.data.banks import drawn_bank
from calotype.data.scenes import World
from calotype.files import EMBEDDED
from calotype.imaging.pixels import to_pixels
from calotype.pipeline import preview
from calotype.pipeline.preview import latent_rgb
from calotype.recipe import Recipe

SD1 = torch.tensor(
    [[0.298, 0.207, 0.208], [0.187, 0.286, 0.173], [-0.158, 0.189, 0.264], [-0.184, -0.271, -0.473], [0, 0, 0]]
)
"""What other programs multiply the latents of every Stable Diffusion 1 with; the last row is the constant."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CALOTYPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def studio(tiny_folder: Path) -> Studio:
    return load(tiny_folder)


def test_of_a_straight_encoder_the_fit_is_exact(cache: Path, studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    mixed = torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, -1.0], [2.0, 0.0, 1.0], [1.0, 1.0, 1.0]])

    def encode(self: Studio, images: torch.Tensor) -> torch.Tensor:
        small = torch.nn.functional.avg_pool2d(images, 8)
        return torch.einsum("lc,bchw->blhw", mixed, small) + 0.3

    monkeypatch.setattr(Studio, "encode", encode)
    factors = latent_rgb(studio)
    colours = torch.rand(5, 3) * 2 - 1
    found = (colours @ mixed.T + 0.3) @ factors[:-1] + factors[-1]
    torch.testing.assert_close(found, colours, rtol=0, atol=1e-4)


def test_the_fit_is_made_once_and_kept(cache: Path, studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    made = latent_rgb(studio)
    assert [path.name for path in cache.rglob("*.safetensors")] == [f"{studio.hash}.safetensors"]
    monkeypatch.setattr(Studio, "encode", lambda *_: pytest.fail("fitted twice"))
    assert latent_rgb(studio).equal(made)


def test_models_without_files_share_nothing(cache: Path, studio: Studio) -> None:
    model = replace(studio, files=())
    other = replace(model, config=replace(model.config, vae=replace(model.config.vae, scaling_factor=0.1)))
    assert not latent_rgb(model).allclose(latent_rgb(other))
    assert not cache.exists()


def test_without_a_place_for_the_cache_or_with_a_damaged_one_it_is_fitted_again(
    cache: Path, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = latent_rgb(studio)
    (kept,) = cache.rglob("*.safetensors")
    kept.write_bytes(b"")
    assert latent_rgb(studio).equal(made)
    assert kept.stat().st_size
    for place in ("/dev/null/cache", "x" * 300):
        monkeypatch.setenv("CALOTYPE_CACHE", place)
        assert latent_rgb(studio).equal(made)


@torch.inference_mode()
def test_it_is_nearer_to_the_picture_than_fixed_factors(cache: Path) -> None:
    model = load(EMBEDDED)
    world = World(drawn_bank())
    pictures = [Image.fromarray(world.scene(seed, "any").image) for seed in range(6)]
    latents = [model.encode(to_pixels(picture)) for picture in pictures]

    def error() -> float:
        """Root mean square, in levels of 255."""
        shown = (np.asarray(preview(model, latent), float) for latent in latents)
        return float(np.mean([(one - np.asarray(two)) ** 2 for one, two in zip(shown, pictures, strict=True)]) ** 0.5)

    fitted = error()
    (kept,) = cache.rglob("*.safetensors")
    for fixed in (SD1, torch.zeros(5, 3)):
        save_file({"latent_rgb": fixed}, kept)
        assert fitted < 0.7 * error()


def test_previews_are_written_beside_the_picture(cache: Path, tiny_folder: Path, tmp_path: Path) -> None:
    args = ["--model", str(tiny_folder), "--seed", "7", "--steps", "5", "--preview-every", "2"]
    assert cli.main(["txt2img", "a", *args, "-o", str(tmp_path / "a.png")]) == 0
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["a-step002.png", "a-step004.png", "a.png"]
    assert {Image.open(path).size for path in tmp_path.glob("*.png")} == {(64, 64)}


def test_the_vae_shows_the_last_state_as_the_picture_is(cache: Path, studio: Studio) -> None:
    recipe = Recipe(prompt="a", seed=7, steps=3)
    states = list(studio.states(recipe))
    picture = np.asarray(studio.develop(recipe, states))
    assert np.array_equal(np.asarray(studio.preview(states[-1], "vae")), picture)
    assert not np.array_equal(np.asarray(studio.preview(states[0], "vae")), picture)
    assert not cache.exists()


def test_the_command_line_asks_the_vae(cache: Path, tiny_folder: Path, tmp_path: Path) -> None:
    args = ["--model", str(tiny_folder), "--seed", "7", "--steps", "2", "--preview-every", "2"]
    assert cli.main(["txt2img", "a", *args, "--preview-by", "vae", "-o", str(tmp_path / "a.png")]) == 0
    shown, picture = (Image.open(tmp_path / name).tobytes() for name in ("a-step002.png", "a.png"))
    assert shown == picture
    assert cli.main(["txt2img", "a", *args, "--preview-by", "taesd", "-o", str(tmp_path / "b.png")]) == 2
    assert not list(tmp_path.glob("b*"))


def test_they_go_on_counting_through_a_second_pass(cache: Path, tiny_folder: Path, tmp_path: Path) -> None:
    args = ["--model", str(tiny_folder), "--seed", "7", "--steps", "2", "--preview-every", "1"]
    more = ["--hr-scale", "1.25", "--hr-steps", "2", "--hr-denoising-strength", "0.4"]
    assert cli.main(["txt2img", "a", *args, *more, "-o", str(tmp_path / "a.png")]) == 0
    sizes = {path.stem: Image.open(path).width for path in tmp_path.glob("a-*.png")}
    assert sizes == {"a-step001": 64, "a-step002": 64, "a-step003": 80, "a-step004": 80}


def test_the_picture_is_the_same_without(cache: Path, tiny_folder: Path, tmp_path: Path) -> None:
    args = ["--model", str(tiny_folder), "--seed", "7", "--steps", "3"]
    assert cli.main(["txt2img", "a", *args, "--preview-every", "1", "-o", str(tmp_path / "a.png")]) == 0
    assert cli.main(["txt2img", "a", *args, "-o", str(tmp_path / "b.png")]) == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
