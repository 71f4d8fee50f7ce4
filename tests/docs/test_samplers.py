from pathlib import Path

from calotype.cli.samplers import page
from calotype.diffusion.samplers import SAMPLERS

PAGE = Path(__file__).parents[2] / "docs" / "samplers.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "calotype samplers --markdown > docs/samplers.md"


def test_every_row_says_all_that_the_page_tells() -> None:
    for row in SAMPLERS.values():
        assert row.aliases and row.paper and row.equals and row.use, row.name
