import numpy as np

from calotype.data.sprites import crop
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


def test_crop() -> None:
    pixels = np.zeros((9, 8, 4), np.uint8)
    pixels[2:5, 3:7, 3] = 255
    assert crop(pixels).shape == (3, 4, 4)
