from pathlib import Path

import numpy as np
import pytest

from calotype.data.sprites import Pixels, crop, load_bank
from calotype.data.things import THINGS
from calotype.errors import CalotypeError
from data.words import by_word


def test_sprites_are_cropped_and_named_apart(each_bank) -> None:
    words = [word for sprite in each_bank.sprites for word in (sprite.name, *sprite.aliases)]
    assert len(words) == len(set(words)) == len(by_word(each_bank))
    assert len(each_bank.by_id) == len(each_bank.sprites)
    for sprite in each_bank.sprites:
        alpha = sprite.pixels[..., 3]
        assert sprite.pixels.dtype == np.uint8
        assert alpha.any(0).all() or alpha.any(1).all()
        assert min(alpha[0].max(), alpha[-1].max(), alpha[:, 0].max(), alpha[:, -1].max()) > 8


def test_things_do_not_look_alike(noto) -> None:
    """At 48 pixels on grey no two are nearer than 22 dB."""
    from PIL import Image

    looks = []
    for sprite in noto.sprites:
        look = Image.new("RGBA", (48, 48), (128, 128, 128, 255))
        image = Image.fromarray(sprite.pixels)
        image.thumbnail((48, 48))
        look.alpha_composite(image, ((48 - image.width) // 2, (48 - image.height) // 2))
        looks.append(np.asarray(look, float)[..., :3].ravel())
    rows = np.array(looks)
    nearest = min((((rows[i + 1 :] - row) ** 2).mean(1)).min() for i, row in enumerate(rows[:-1]))
    assert 10 * np.log10(255**2 / nearest) < 22


def test_stand_ins_need_no_art(bank) -> None:
    assert len(bank.sprites) == 24
    assert load_bank("drawn").sprites[0].name == bank.sprites[0].name


def test_every_thing_has_a_picture(noto) -> None:
    assert [sprite.id for sprite in noto.sprites] == [code for group in THINGS.values() for code in group]


def test_an_unknown_style_is_named() -> None:
    with pytest.raises(CalotypeError, match="oil"):
        load_bank("oil")


def test_crop() -> None:
    pixels = np.zeros((9, 8, 4), np.uint8)
    pixels[2:5, 3:7, 3] = 255
    assert crop(pixels).shape == (3, 4, 4)


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
