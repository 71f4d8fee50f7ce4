import torch
from PIL import Image

from calotype.imaging.pixels import to_image, to_levels, to_pixels, to_unit


def test_levels_survive_the_unit_interval() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_levels(to_unit(levels)), levels)
    assert to_unit(levels)[[0, 255]].tolist() == [-1, 1]


def test_what_lies_outside_is_clamped_and_what_lies_between_is_rounded() -> None:
    between = torch.tensor([-1.4, -1, 99.4 / 127.5 - 1, 99.6 / 127.5 - 1, 1, 7])
    assert to_levels(between).tolist() == [0, 0, 99, 100, 255, 255]


def test_pictures_survive_being_tensors() -> None:
    picture = Image.linear_gradient("L").resize((24, 16))
    picture = Image.merge("RGB", (picture, picture.rotate(180), picture))
    assert to_pixels(picture).shape == (1, 3, 16, 24)
    assert to_image(to_pixels(picture)).tobytes() == picture.tobytes()
