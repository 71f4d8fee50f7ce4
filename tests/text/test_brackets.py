import pytest

from calotype.errors import CalotypeError
from calotype.text.brackets import DEEPEST, check_depth
from calotype.text.emphasis import comfyui_sections
from calotype.text.schedule import schedule


@pytest.mark.parametrize("text", ["(" * DEEPEST, "()[]" * 500, "]" * 500 + "(a)"])
def test_what_people_write_passes(text: str) -> None:
    check_depth(text)


@pytest.mark.parametrize("text", ["(" * 5000, "[" * 5000 + "a" + ":b:0.5]" * 5000])
def test_deeper_brackets_are_counted_and_refused_at_once(text: str) -> None:
    for read in (check_depth, comfyui_sections):
        with pytest.raises(CalotypeError, match="5000 brackets open at once"):
            read(text)
    with pytest.raises(CalotypeError, match="5001 brackets"):
        schedule(f"[{text}", 20)


def test_brackets_that_close_nothing_make_no_room_for_deeper_ones() -> None:
    for read in (check_depth, comfyui_sections):
        with pytest.raises(CalotypeError, match="5000 brackets open at once"):
            read(")" * 9000 + "(" * 5000)
