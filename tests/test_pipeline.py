import hashlib
from itertools import islice
from pathlib import Path

import pytest
import torch
from PIL import Image

from calotype.api import Studio, load
from calotype.errors import CalotypeError
from calotype.imaging.pixels import to_image
from calotype.imaging.png import read_record
from calotype.imaging.reading import inline
from calotype.recipe import Recipe


@pytest.fixture(scope="module")
def studio(tiny_folder: Path) -> Studio:
    return load(tiny_folder)


RECIPE = Recipe(prompt="a unicorn", seed=7, steps=3)


def test_the_same_recipe_gives_the_same_pixels(studio: Studio) -> None:
    first, second = (studio.generate("a unicorn", seed=7, steps=3) for _ in range(2))
    assert first.size == (64, 64)
    assert first.tobytes() == second.tobytes()
    assert first.record == second.record


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 8}, {"prompt": "a cat"}, {"negative_prompt": "cat"}, {"steps": 4}, {"sampler": "Euler"},
        {"scheduler": "trailing"}, {"cfg_scale": 2}, {"cfg_scale": 1}, {"cfg_rescale": 0.7}, {"clip_skip": 2},
        {"width": 72},
    ],
)  # fmt: skip
def test_every_field_counts(studio: Studio, change: dict[str, object]) -> None:
    one = studio.develop(RECIPE, studio.states(RECIPE))
    recipe = RECIPE.but(**change)
    assert studio.develop(recipe, studio.states(recipe)).record.digests[-1] != one.record.digests[-1]


def test_pictures_have_content(studio: Studio) -> None:
    low, high = zip(*studio.generate("a unicorn", seed=7, steps=3).getextrema(), strict=True)
    assert all(b - a > 10 for a, b in zip(low, high, strict=True))


def test_interleaved_pictures_do_not_touch_each_other(studio: Studio) -> None:
    other = RECIPE.but(seed=8, sampler="Euler a")
    alone = [state.x for state in studio.states(RECIPE)]
    torch.manual_seed(3)
    together = [a.x for a, _ in zip(studio.states(RECIPE), studio.states(other), strict=True)]
    assert all(a.equal(b) for a, b in zip(alone, together, strict=True))


def test_the_states_leave_the_global_generator_alone(studio: Studio) -> None:
    before = torch.get_rng_state()
    studio.generate("a unicorn", seed=7, steps=2, sampler="Euler a")
    assert torch.get_rng_state().equal(before)


def test_one_state_for_each_step_with_a_preview(studio: Studio) -> None:
    states = list(studio.states(RECIPE))
    assert [state.index for state in states] == [1, 2, 3]
    assert states[0].x0.shape == (1, 4, 8, 8)
    assert to_image(studio.decode(states[0].x0)).size == (64, 64)


def test_digests_are_those_of_the_states(studio: Studio) -> None:
    states = list(studio.states(RECIPE))
    picture = studio.develop(RECIPE, iter(states))
    expected = tuple(hashlib.sha256(state.x.numpy().tobytes()).hexdigest()[:16] for state in states)
    assert picture.record.digests == expected


def test_the_record_settles_what_was_left_open(studio: Studio, tiny_folder: Path, tmp_path: Path) -> None:
    picture = studio.generate("a unicorn", steps=2, sampler="DDIM")
    recipe = picture.recipe
    assert (recipe.width, recipe.height, recipe.scheduler) == (64, 64, "trailing")
    record = picture.record
    assert (record.model, record.model_hash) == ("tiny", studio.hash)
    assert (record.dtype, record.device, record.threads, record.noise) == ("float32", "cpu", 1, "cpu")
    assert record.versions["torch"] == torch.__version__
    picture.save(tmp_path / "a.png")
    again = read_record(tmp_path / "a.png").recipe
    assert studio.develop(again, studio.states(again)).tobytes() == picture.tobytes()


@pytest.mark.parametrize(("width", "height"), [(72, 120), (16, 16), (128, 64)])
def test_sizes_that_are_multiples_of_8(studio: Studio, width: int, height: int) -> None:
    assert studio.generate("a", steps=1, width=width, height=height).size == (width, height)


@pytest.mark.parametrize("prompt", ["", "unicorn " * 40])
def test_empty_and_long_prompts(studio: Studio, prompt: str) -> None:
    assert studio.generate(prompt, steps=1, negative_prompt="a cat").size == (64, 64)


def test_cancelling_is_to_stop_iterating(studio: Studio) -> None:
    calls = []
    hook = studio.unet.register_forward_hook(lambda *_: calls.append(1))
    list(islice(studio.states(RECIPE), 2))
    hook.remove()
    assert len(calls) == 2


def test_nothing_to_develop_is_told(studio: Studio) -> None:
    with pytest.raises(CalotypeError, match="no state"):
        studio.develop(RECIPE, [])


@pytest.mark.parametrize("part", ["unet", "vae"])
def test_too_little_memory_is_told(studio: Studio, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    method = {"unet": "forward", "vae": "decode"}[part]
    monkeypatch.setattr(getattr(studio, part), method, lambda *_: torch.empty(2**60, dtype=torch.uint8))
    with pytest.raises(CalotypeError, match="not enough memory for a picture of 64x64: choose a smaller size"):
        studio.develop(RECIPE, studio.states(RECIPE))


def test_too_little_memory_for_the_second_pass_is_told_with_its_size(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RECIPE.but(hr_scale=1.5)
    states = studio.states(recipe)
    list(islice(states, 3))
    monkeypatch.setattr(studio.unet, "forward", lambda *_: torch.empty(2**60, dtype=torch.uint8))
    with pytest.raises(CalotypeError, match="not enough memory for a picture of 96x96"):
        next(states)


def test_too_little_memory_to_encode_the_picture_to_keep_to_is_told(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    recipe = RECIPE.but(init_image=inline(mask), mask=inline(mask))
    states = list(studio.states(recipe))
    monkeypatch.setattr(studio.vae, "encode", lambda *_: torch.empty(2**60, dtype=torch.uint8))
    with pytest.raises(CalotypeError, match="not enough memory for a picture of 64x64"):
        studio.develop(recipe, states)


@pytest.mark.parametrize(
    "message", ["size mismatch", "CUDA error: an illegal memory access was encountered", "Unsupported memory format"]
)
def test_other_errors_are_not_mistaken_for_it(studio: Studio, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(message)

    monkeypatch.setattr(studio.unet, "forward", fail)
    with pytest.raises(RuntimeError, match=message) as error:
        next(studio.states(RECIPE))
    assert not isinstance(error.value, CalotypeError)


def test_a_weight_that_overflows_makes_no_black_picture(studio: Studio) -> None:
    with pytest.raises(CalotypeError, match="past all bounds"):
        studio.generate(f"(a:{'9' * 47})", seed=1, steps=2)


@pytest.mark.parametrize("tiling", [False, True])
def test_an_autoencoder_that_overflows_makes_no_junk(
    studio: Studio, tiling: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studio.vae, "decode", lambda z: torch.full((1, 3, 64, 64), torch.inf))
    with pytest.raises(CalotypeError, match="past all bounds as it decoded the picture: choose another one with --vae"):
        studio.generate("a", steps=1, vae_tiling=tiling, tile_size=64, tile_overlap=0)


def test_to_image_rounds_and_clamps() -> None:
    pixels = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0]).expand(1, 3, 1, 5)
    assert list(to_image(pixels).tobytes()[::3]) == [0, 0, 128, 255, 255]
