"""The README's picture is of the model in the project, and of the prompts that the hash chooses."""

import runpy
from pathlib import Path

import pytest
from PIL import Image

from calotype.api import EMBEDDED
from calotype.checkpoints.hashes import files_hash
from calotype.errors import CalotypeError

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def told() -> dict[str, str]:
    with Image.open(DOCS / "held-out.png") as sheet:
        return {key: str(text) for key, text in sheet.info.items()}


def test_it_is_of_the_model_beside_it(told: dict[str, str]) -> None:
    assert told["model"] == files_hash([EMBEDDED])


def test_its_prompts_are_those_chosen(told: dict[str, str]) -> None:
    script = runpy.run_path(str(DOCS / "held_out.py"))
    try:
        assert told["prompts"].splitlines() == script["chosen"]()
    except CalotypeError as missing:
        pytest.skip(f"{missing}")
