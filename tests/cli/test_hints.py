from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from calotype.api import Studio, load
from calotype.cli.hints import hints
from calotype.imaging.reading import inline
from calotype.pipeline import settle
from calotype.recipe import Recipe


@pytest.fixture(scope="module")
def studio(tiny_folder: Path) -> Studio:
    """Of a model for 64 x 64 pixels."""
    return load(tiny_folder)


def _hints(studio: Studio, *recipes: dict[str, Any]) -> list[str]:
    made = [Recipe(**{"prompt": "a unicorn", **fields}) for fields in recipes]
    return list(hints(studio, [settle(studio, recipe) for recipe in made]))


def _unknown(told: list[str]) -> list[str]:
    """The words in the one line about them."""
    (hint,) = told
    return hint.split('"')[1::2]


@pytest.mark.parametrize(
    "fields",
    [
        {}, {"width": 120, "height": 96}, {"width": 40, "height": 64}, {"hr_scale": 4},
        {"width": 512, "height": 512, "tile_size": 64, "tile_overlap": 16},
    ],
    ids=str,
)  # fmt: skip
def test_sizes_near_the_models_own_go_without_a_hint(fields: dict[str, Any], studio: Studio) -> None:
    assert _hints(studio, fields) == []


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({"width": 128}, "128x64"),
        ({"width": 64, "height": 32}, "64x32"),
        ({"width": 1024, "height": 1024}, "1024x1024"),
        ({"width": 512, "height": 512, "tile_size": 256}, "256x256"),
        ({"init_image": inline(Image.new("RGB", (300, 200)))}, "296x200"),
    ],
    ids=str,
)
def test_sizes_far_from_it_are_told_in_one_line(fields: dict[str, Any], size: str, studio: Studio) -> None:
    (hint,) = _hints(studio, fields)
    assert hint.startswith(f"the model was trained on 64x64 pixels: at {size} it may repeat things")
    assert "\n" not in hint


def test_each_size_and_word_is_told_once(studio: Studio) -> None:
    told = _hints(studio, {"width": 256, "prompt": "a zebra"}, {"width": 256, "seed": 3, "prompt": "a zebra"})
    assert len(told) == 2


def test_words_of_every_step_are_told(studio: Studio) -> None:
    told = _hints(studio, {"prompt": "a [zebra:[unicron|okapi]:0.5]", "negative_prompt": "(gnu:1.2)", "steps": 8})
    assert _unknown(told) == ["zebra", "unicron", "okapi", "gnu"]


def test_words_of_the_second_pass_are_told(studio: Studio) -> None:
    fields = {"prompt": "a", "hr_scale": 1.5, "hr_prompt": "zebra", "hr_negative_prompt": "[gnu:okapi:1.5]"}
    assert _unknown(_hints(studio, fields)) == ["zebra", "gnu", "okapi"]
    assert _hints(studio, {**fields, "hr_scale": 1}) == []


def test_a_negative_prompt_has_no_attachments(studio: Studio) -> None:
    """What would be one is text in it, as the pipeline reads it."""
    told = _hints(studio, {"negative_prompt": "<3:zebra>"})
    assert _unknown(told) == ["zebra"]


def test_the_size_is_the_u_nets(studio: Studio) -> None:
    """Autoencoders are published with half of it."""
    config = replace(studio.config, vae=replace(studio.config.vae, sample_size=32))
    assert _hints(replace(studio, config=config), {}) == []


def test_what_the_publishers_choice_asks_for_in_vain_is_told_where_it_is_taken(studio: Studio) -> None:
    published = replace(studio, not_honoured=("solver_order 3",))
    (hint,) = _hints(published, {})
    assert hint == "the model's scheduler_config.json asks for what is not honoured: solver_order 3"
    assert _hints(published, {"sampler": "Euler"}) == []
