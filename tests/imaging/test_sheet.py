import pytest
from PIL import Image, ImageChops

from calotype.imaging.sheet import contact_sheet

RED, BLUE = Image.new("RGB", (64, 64), "red"), Image.new("RGB", (64, 64), "blue")


def _colours(sheet: Image.Image) -> set[tuple[int, ...]]:
    return {colour for _, colour in sheet.getcolors(1 << 20)}  # type: ignore[misc]


def test_pictures_stand_in_rows_in_order() -> None:
    sheet = contact_sheet([RED, BLUE, BLUE], columns=2)
    assert sheet.size == (2 * 72 + 8, 2 * 72 + 8)
    assert [sheet.getpixel(at) for at in [(40, 40), (112, 40), (40, 112), (112, 112)]] == [
        (255, 0, 0), (0, 0, 255), (0, 0, 255), (255, 255, 255),
    ]  # fmt: skip


def test_captions_are_wrapped_inside_their_cell() -> None:
    one = contact_sheet([RED], ["cat"])
    many = contact_sheet([RED], ["a cat on a red mat with a hat"])
    assert many.width == one.width
    assert many.height > one.height
    right_edge = many.crop((many.width - 8, 0, many.width, many.height))
    assert ImageChops.invert(right_edge.convert("L")).getbbox() is None


def test_captions_leave_the_pictures_alone() -> None:
    assert contact_sheet([RED], ["cat"]).crop((8, 8, 72, 72)).tobytes() == RED.tobytes()
    assert _colours(contact_sheet([RED])) == {(255, 0, 0), (255, 255, 255)}


def test_every_picture_needs_a_caption() -> None:
    with pytest.raises(ValueError, match="zip"):
        contact_sheet([RED, BLUE], ["cat"])
