"""Pictures as people have them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from calotype.errors import CalotypeError
from calotype.imaging import reading
from calotype.imaging.png import read_texts
from calotype.imaging.reading import fingerprint, inline, read_mask, read_picture

LEVELS = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
RGB = Image.fromarray(np.stack([LEVELS, LEVELS[::-1], 255 - LEVELS], axis=-1))


def _saved(image: Image.Image, path: Path, **options: object) -> str:
    image.save(path, **options)  # type: ignore[arg-type]
    return str(path)


def test_grey_and_palette_become_rgb(tmp_path: Path) -> None:
    grey = read_picture(_saved(Image.fromarray(LEVELS), tmp_path / "a.png"))
    assert (grey.mode, grey.size) == ("RGB", (3, 2))
    assert np.array_equal(np.asarray(grey)[..., 0], LEVELS)
    assert read_picture(_saved(RGB.quantize(16), tmp_path / "b.png")).mode == "RGB"


def test_sixteen_bits_lose_the_lower_eight(tmp_path: Path) -> None:
    deep = Image.fromarray(LEVELS.astype(np.uint16) * 256 + 99)
    source = _saved(deep, tmp_path / "a.png")
    assert np.array_equal(np.asarray(read_picture(source))[..., 0], LEVELS)
    assert np.array_equal(np.asarray(read_mask(source)), LEVELS)


def test_what_is_transparent_becomes_white(tmp_path: Path) -> None:
    image = RGB.convert("RGBA")
    image.putalpha(Image.fromarray(np.array([[0, 255, 0], [255, 0, 255]], dtype=np.uint8)))
    read = np.asarray(read_picture(_saved(image, tmp_path / "a.png")))
    assert (read[0, 0] == 255).all()
    assert np.array_equal(read[0, 1], np.asarray(RGB)[0, 1])


def test_cmyk_and_bits_are_converted(tmp_path: Path) -> None:
    assert read_picture(_saved(RGB.convert("CMYK"), tmp_path / "a.tif")).mode == "RGB"
    assert read_mask(_saved(Image.fromarray(LEVELS).convert("1"), tmp_path / "a.png")).mode == "L"


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    source = _saved(RGB, tmp_path / "a.png", exif=exif)
    assert read_picture(source).size == (2, 3)
    assert np.array_equal(np.asarray(read_picture(source)), np.rot90(np.asarray(RGB), -1))


def test_of_an_animation_the_first_frame_is_read(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    source = _saved(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read_picture(source).getpixel((0, 0)) == (255, 0, 0)


def test_a_mask_is_its_transparency_or_its_light(tmp_path: Path) -> None:
    image = RGB.convert("RGBA")
    assert np.array_equal(
        np.asarray(read_mask(_saved(image, tmp_path / "a.png"))), np.asarray(RGB.convert("L"))
    )  # opaque: no transparency to speak of
    image.putalpha(Image.fromarray(LEVELS))
    assert np.array_equal(np.asarray(read_mask(_saved(image, tmp_path / "b.png"))), LEVELS)


def test_a_data_url_holds_the_pixels() -> None:
    assert fingerprint(read_picture(inline(RGB))) == fingerprint(RGB)
    assert fingerprint(RGB) != fingerprint(RGB.transpose(Image.Transpose.TRANSPOSE))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "F", "I", "I;16"])
def test_a_given_picture_is_read_as_its_file_is(tmp_path: Path, mode: str) -> None:
    image = RGB.convert("L").convert(mode)
    stored = _saved(image, tmp_path / "a.tif")
    for read in (read_picture, read_mask):
        assert np.array_equal(np.asarray(read(inline(image))), np.asarray(read(stored)))


def test_a_given_photograph_is_turned_upright() -> None:
    photograph = RGB.copy()
    photograph.getexif()[0x0112] = 6
    assert np.array_equal(np.asarray(read_picture(inline(photograph))), np.rot90(np.asarray(RGB), -1))


def test_a_given_picture_is_not_too_large_for_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = inline(RGB)
    monkeypatch.setattr(reading, "MAX_INLINE", len(whole))
    assert inline(RGB) == whole
    monkeypatch.setattr(reading, "MAX_INLINE", len(whole) - 1)
    with pytest.raises(CalotypeError, match="of text, of which 0 fit into a record: give the path of a file"):
        inline(RGB)
    monkeypatch.setattr(reading, "MAX_PIXELS", 5)
    with pytest.raises(CalotypeError, match="the given picture has 3x2 pixels, of which 5 can be read"):
        inline(RGB)


def test_what_cannot_be_read_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Path(_saved(RGB.resize((64, 64)), tmp_path / "a.png")).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("not a picture")
    for source, message in [
        (str(tmp_path / "none.png"), "there is no picture"),
        (str(tmp_path / "cut.png"), "cut short"),
        (str(tmp_path / "text.png"), "damaged, cut short or of another kind"),
        (str(tmp_path), "is a folder: name a picture in it"),
        ("data:image/png;base64,???", "the picture in the recipe"),
    ]:
        with pytest.raises(CalotypeError, match=message) as error:
            read_picture(source)
        assert "\n" not in str(error.value)
    monkeypatch.setattr(reading, "MAX_PIXELS", 4095)
    with pytest.raises(CalotypeError, match="64x64 pixels, of which 4095 can be read"):
        read_mask(str(tmp_path / "a.png"))


def test_damaged_exif_is_told(tmp_path: Path) -> None:
    source = _saved(RGB, tmp_path / "a.png", exif=b"II*\0\x08\0")
    for read in (read_picture, read_mask, lambda source: read_texts(Path(source))):
        with pytest.raises(CalotypeError, match="damaged, cut short or of another kind"):
            read(source)


def test_a_picture_that_may_not_be_read_is_not_called_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", refused)
    for read in (read_picture, read_mask, lambda source: read_texts(Path(source))):
        with pytest.raises(
            CalotypeError, match=r"cannot read 'a\.png': Permission denied. Check the path and its rights"
        ):
            read("a.png")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.png"
    Image.new("1", (20_000, 20_000)).save(bomb)
    for read in (read_picture, lambda source: read_texts(Path(source))):
        with pytest.raises(CalotypeError, match="pixels"):
            read(str(bomb))
