from pathlib import Path

import numpy as np
import pytest

from calotype.data.banks import load_bank
from calotype.data.sprites import Pixels
from calotype.data.things import THINGS
from calotype.errors import CalotypeError


def test_stand_ins_need_no_art(bank) -> None:
    assert len(bank.sprites) == 24
    assert load_bank("drawn").sprites[0].name == bank.sprites[0].name


def test_every_thing_has_a_picture(noto) -> None:
    assert [sprite.id for sprite in noto.sprites] == [code for group in THINGS.values() for code in group]


def test_an_unknown_style_is_named() -> None:
    with pytest.raises(CalotypeError, match="oil"):
        load_bank("oil")


@pytest.fixture
def art(tmp_path, monkeypatch) -> Path:
    """An empty cache, and a font that stands for pictures as wide as it has bytes."""
    monkeypatch.setenv("CALOTYPE_CACHE", str(tmp_path))
    font = tmp_path / "font.ttf"
    font.write_bytes(bytes(7))

    def pictures(style: str, codes: list[str]) -> dict[str, Pixels]:
        return dict.fromkeys(codes, np.full((5, len(font.read_bytes()), 4), 255, np.uint8))

    monkeypatch.setattr("calotype.data.styles.source", lambda style: font)
    monkeypatch.setattr("calotype.data.styles.pictures", pictures)
    return font


def test_a_damaged_bank_says_what_to_do(art) -> None:
    assert load_bank("noto").sprites[0].pixels.shape == (5, 7, 4)
    [path] = (art.parent / "banks").iterdir()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CalotypeError, match="damaged or of another kind: remove it"):
        load_bank("noto")


def test_other_art_is_another_bank(art) -> None:
    load_bank("noto")
    art.write_bytes(bytes(9))
    assert load_bank("noto").sprites[0].pixels.shape == (5, 9, 4)
    [first, _] = sorted((art.parent / "banks").iterdir(), key=lambda path: path.stat().st_size)
    first.write_bytes(b"not looked at again")
    load_bank("noto")
