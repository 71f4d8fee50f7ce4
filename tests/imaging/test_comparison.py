import pytest
from PIL import Image

from calotype.configs import ReadOptions
from calotype.imaging.comparison import compare, differences
from calotype.imaging.picture import Picture
from calotype.imaging.reading import fingerprint
from calotype.recipe import Record

GREY = Image.new("RGB", (4, 3), (100, 100, 100))


@pytest.fixture
def whole(record: Record) -> Record:
    return record.but(digests=("aa", "bb", "cc"), pixels=fingerprint(GREY), cpu="x86_64 AVX2")


def test_the_same_is_equal(whole: Record) -> None:
    verdict = compare(GREY, whole, Picture.of(GREY, whole))
    assert verdict.equal
    assert str(verdict) == "equal: every step and every pixel"


def test_what_did_not_matter_is_told(whole: Record) -> None:
    verdict = compare(GREY, whole, Picture.of(GREY, whole.but(threads=9)))
    assert str(verdict) == ("equal: every step and every pixel, in spite of another number of threads (2 then, 9 now)")


def test_a_flipped_pixel_is_told_from_another_result(whole: Record) -> None:
    flipped = GREY.copy()
    flipped.putpixel((1, 2), (100, 103, 99))
    verdict = compare(flipped, whole, Picture.of(GREY, whole))
    assert (verdict.step, verdict.pixels, verdict.largest) == (None, 1, 3)
    assert verdict.causes == ("the pixels were changed after they were saved",)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"model_hash": "f" * 64}, "another model file or --vae (6ce0161689 then, ffffffffff now)"),
        (
            {"choices": ReadOptions(parameterization="epsilon", zero_terminal_snr=False)},
            "another reading of the model's files (as the files say then, "
            "parameterization epsilon, zero_terminal_snr False now)",
        ),
        ({"threads": 1}, "another number of threads (2 then, 1 now)"),
        ({"cpu": "aarch64 DEFAULT"}, "another CPU (x86_64 AVX2 then, aarch64 DEFAULT now)"),
        ({"versions": {"calotype": "0.1.0", "torch": "2.12.0"}}, "another torch (2.13.0 then, 2.12.0 now)"),
        ({"dtype": "bfloat16"}, "another number format (float32 then, bfloat16 now)"),
    ],
)
def test_the_likely_cause_is_named(whole: Record, change: dict[str, object], cause: str) -> None:
    other = Image.new("RGB", (4, 3), (100, 100, 104))
    verdict = compare(GREY, whole, Picture.of(other, whole.but(digests=("aa", "xx", "yy"), **change)))
    assert (verdict.step, verdict.pixels, verdict.largest) == (2, 12, 4)
    assert verdict.causes == (cause,)
    assert str(verdict).startswith("differs: the first step that differs is 2; 12 pixels differ, by at most 4 of 255; ")


def test_a_record_that_lies_is_not_explained_away(whole: Record) -> None:
    verdict = compare(GREY, whole, Picture.of(GREY, whole.but(digests=("aa", "bb"))))
    assert verdict.step == 3
    assert "the record was changed" in verdict.causes[0]


def test_another_size_is_another_picture(whole: Record) -> None:
    assert compare(Image.new("RGB", (8, 8)), whole, Picture.of(GREY, whole)).pixels == 64


def test_a_changed_input_comes_first(whole: Record) -> None:
    lines = differences(whole.but(inputs={"mask": "a" * 64}), whole.but(inputs={"mask": "b" * 64}, threads=1))
    assert lines[0] == "another mask (aaaaaaaaaa then, bbbbbbbbbb now)"
    assert len(lines) == 2
