import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from calotype.errors import CalotypeError
from calotype.imaging.picture import Picture
from calotype.imaging.png import read_record
from calotype.recipe import Recipe, Record


@settings(max_examples=60, deadline=None)
@given(
    prompt=st.text(st.characters(exclude_categories=["Cs"])), negative=st.text(st.characters(exclude_categories=["Cs"]))
)
def test_a_saved_picture_gives_its_record_back(
    tmp_path_factory: pytest.TempPathFactory, prompt: str, negative: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "record.png"
    record = Record(
        recipe=Recipe(prompt=prompt, negative_prompt=negative, seed=2**64 - 1, cfg_scale=1 / 3, scheduler="karras"),
        model="m", model_hash="0", dtype="float32", device="cpu", threads=1, noise="cpu", versions={}, digests=(),
    )  # fmt: skip
    Picture.of(Image.new("RGB", (8, 8)), record).save(path)
    assert read_record(path) == record


def test_other_programs_find_their_text(tmp_path: Path, record: Record) -> None:
    Picture.of(Image.new("RGB", (8, 8)), record.but(recipe=record.recipe.but(prompt="猫"))).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["parameters"].startswith("猫\nSteps: 20")


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_what_is_no_picture_of_ours_is_refused_in_one_line(tmp_path: Path, record: Record) -> None:
    Picture.of(Image.new("RGB", (64, 64)), record).save(tmp_path / "whole.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    whole = (tmp_path / "whole.png").read_bytes()
    for path, reason in [
        (tmp_path / "absent.png", "no picture"),
        (_write(tmp_path / "text.png", b"hello"), "cannot read"),
        (_write(tmp_path / "cut.png", whole[: len(whole) // 2]), "cannot read"),
        (tmp_path / "plain.png", "no record"),
    ]:
        with pytest.raises(CalotypeError, match=reason) as error:
            read_record(path)
        assert "\n" not in str(error.value)


def test_a_record_of_another_shape_is_refused_in_one_line(tmp_path: Path, record: Record) -> None:
    good = json.loads(record.model_dump_json())
    shapes = ("{", "{}", "[]", "5", '{"recipe": {"steps": 0}}', '{"recipe": 5}', '{"recipe": [[]]}', "[" * 100_000)
    for text in (*shapes, json.dumps({**good, "threads": 0})):
        info = PngInfo()
        info.add_text("calotype", text)
        Image.new("RGB", (8, 8)).save(tmp_path / "other.png", pnginfo=info)
        with pytest.raises(CalotypeError, match=r"other\.png") as error:
            read_record(tmp_path / "other.png")
        assert "\n" not in str(error.value)
