"""The pictures of the pages: each is made by one function of docs/pictures.py, from what its page says."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from calotype.api import load

DOCS = Path(__file__).parents[2] / "docs"
_SHOWN = re.compile(r"!\[[^\]]+\]\(pictures/(\w+)\.png\)")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pictures", DOCS / "pictures.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_show_all_that_is_made_and_nothing_else(script: ModuleType) -> None:
    shown = [name for page in DOCS.glob("*.md") for name in _SHOWN.findall(page.read_text())]
    assert sorted(shown) == sorted(script.SHEETS)


def test_every_sheet_is_made_as_a_page_says(
    script: ModuleType, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the tiny model: whether the recipes are sound, not whether the pictures are good."""
    monkeypatch.setenv("CALOTYPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(script, "STEPS", 4)
    monkeypatch.setattr(script, "FOLDER", tmp_path)
    monkeypatch.setattr(script.calotype, "load", lambda: load(tiny_folder))
    script.main([])
    assert {path.stem for path in tmp_path.glob("*.png")} == set(script.SHEETS)
