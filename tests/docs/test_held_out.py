"""The README's picture is of the model in the project, and of the prompts that the hash chooses."""

import runpy
from pathlib import Path

import pytest
from PIL import Image

from calotype.api import EMBEDDED
from calotype.checkpoints.hashes import files_hash
from calotype.data import art
from calotype.data.fonts import opened
from data.fetched import here

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def told() -> dict[str, str]:
    with Image.open(DOCS / "held-out.png") as sheet:
        return {key: str(text) for key, text in sheet.info.items()}


def test_it_is_of_the_model_beside_it(told: dict[str, str]) -> None:
    assert told["model"] == files_hash([EMBEDDED])


def test_its_prompts_are_those_chosen(told: dict[str, str]) -> None:
    version = opened(here(art.noto_font))["name"].getDebugName(5).partition(";")[0]
    if not art._PICTURES["noto"].version.startswith(version.removeprefix("Version ")):
        pytest.skip(f"the art here is of {version}: its things have other shapes, and the hash chooses other prompts")
    script = runpy.run_path(str(DOCS / "held_out.py"))
    assert told["prompts"].splitlines() == script["chosen"]()
