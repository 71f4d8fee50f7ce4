"""The pictures that a run begins with: once it has begun, it depends on no file."""

from itertools import chain, islice
from pathlib import Path

import pytest
from PIL import Image

from calotype.api import Studio, load
from calotype.pipeline import save_run
from calotype.recipe import Recipe

STEPS = 3


@pytest.fixture(scope="module")
def studio(tiny_folder: Path) -> Studio:
    return load(tiny_folder)


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """Of two passes, and of the size of a picture in a file."""
    mask = Image.new("L", (72, 64))
    mask.paste(255, (24, 16, 64, 48))
    Image.linear_gradient("L").resize((72, 64)).convert("RGB").save(tmp_path / "picture.png")
    mask.save(tmp_path / "mask.png")
    files = {"init_image": str(tmp_path / "picture.png"), "mask": str(tmp_path / "mask.png")}
    return Recipe(prompt="a", seed=1, steps=2, sampler="Euler", hr_scale=1.25, hr_steps=1, **files)


@pytest.mark.parametrize("taken", range(1, STEPS + 1))
@pytest.mark.parametrize("change", ["moved", "repainted"])
def test_they_are_read_once(studio: Studio, recipe: Recipe, change: str, taken: int, tmp_path: Path) -> None:
    expected = studio.develop(recipe, studio.states(recipe))
    states = studio.states(recipe)
    begun = list(islice(states, taken))
    for file in tmp_path.iterdir():
        if change == "moved":
            file.unlink()
        else:
            Image.new("RGB", (48, 48), "red").save(file)
    save_run(tmp_path / "run", studio, recipe, begun[-1], tmp_path / "a.png")
    assert len(list(studio.states(recipe, begun[-1]))) == STEPS - taken
    picture = studio.develop(recipe, chain(begun, states))
    assert picture.tobytes() == expected.tobytes()
    assert picture.record == expected.record
