import io
from pathlib import Path

import pytest
from PIL import Image

from calotype.errors import CalotypeError
from calotype.imaging.picture import Picture
from calotype.imaging.png import read_record
from calotype.recipe import Record


@pytest.fixture
def picture(record: Record) -> Picture:
    return Picture.of(Image.linear_gradient("L").convert("RGB"), record)


def test_it_is_a_pil_image(picture: Picture, record: Record) -> None:
    assert isinstance(picture, Image.Image)
    assert picture.size == (256, 256)
    assert picture.getpixel((0, 255)) == (255, 255, 255)
    assert picture.recipe == record.recipe
    assert picture.resize((8, 8)).size == (8, 8)


def test_png_keeps_every_pixel(picture: Picture, tmp_path: Path) -> None:
    picture.save(tmp_path / "deep" / "a.png")
    with Image.open(tmp_path / "deep" / "a.png") as image:
        assert image.tobytes() == picture.tobytes()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.png"]


def test_save_to_a_stream_carries_the_record(picture: Picture, tmp_path: Path, record: Record) -> None:
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    (tmp_path / "a.png").write_bytes(stream.getvalue())
    assert read_record(tmp_path / "a.png") == record


def test_a_file_that_is_open_carries_the_record_if_it_is_called_png(
    picture: Picture, tmp_path: Path, record: Record
) -> None:
    for name in ("a.png", "b.PNG"):
        with (tmp_path / name).open("wb") as file:
            picture.save(file)
        assert read_record(tmp_path / name) == record


def test_without_a_format_that_can_be_told_nothing_is_written(picture: Picture, tmp_path: Path) -> None:
    for place in (tmp_path / "a", tmp_path / "a.v2", str(tmp_path / "a.pgn"), io.BytesIO()):
        with pytest.raises(CalotypeError, match="give a format"):
            picture.save(place)
    assert list(tmp_path.iterdir()) == []
    picture.save(tmp_path / "a.v2", "PNG")
    assert read_record(tmp_path / "a.v2") == picture.record


def test_other_formats_are_those_of_pil(picture: Picture, tmp_path: Path) -> None:
    picture.save(tmp_path / "a.jpg", quality=50)
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.format == "JPEG"


def test_a_folder_that_cannot_be_is_told_in_one_line(picture: Picture, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CalotypeError, match="cannot write"):
        picture.save(tmp_path / "file" / "a.png")


def test_a_full_disk_leaves_nothing(picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Image.Image, fp: Path, *args: object, **params: object) -> None:
        fp.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(CalotypeError, match="No space left"):
        picture.save(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []
