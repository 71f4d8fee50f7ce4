import os
from pathlib import Path
from typing import NoReturn

import pytest

from calotype import cli
from calotype.cli.output import paths
from calotype.errors import CalotypeError
from calotype.recipe import Recipe

SEVEN, EIGHT = Recipe(seed=7), Recipe(seed=8)


def test_numbers_in_a_folder_go_on_from_those_there(tmp_path: Path) -> None:
    for name in ("00041-9.png", "00007-3.png", "notes.txt", "99-1.png"):
        (tmp_path / name).touch()
    assert [path.name for path in _touched(paths(tmp_path, [SEVEN, EIGHT]))] == ["00042-7.png", "00043-8.png"]
    assert [path.name for path in paths(tmp_path, [SEVEN])] == ["00044-7.png"]


def _touched(paths: "list[Path] | object") -> "list[Path]":
    made = []
    for path in paths:  # type: ignore[attr-defined]
        path.touch()
        made.append(path)
    return made


def test_a_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    assert list(paths(tmp_path / "a" / "b", [SEVEN])) == [tmp_path / "a" / "b" / "00000-7.png"]
    assert (tmp_path / "a" / "b").is_dir()


def test_a_file_name_is_taken_as_it_is(tmp_path: Path) -> None:
    assert list(paths(tmp_path / "new" / "apple.PNG", [SEVEN])) == [tmp_path / "new" / "apple.PNG"]


def test_several_pictures_of_one_file_name_carry_their_seeds(tmp_path: Path) -> None:
    assert [path.name for path in paths(tmp_path / "apple.png", [SEVEN, EIGHT])] == ["apple-7.png", "apple-8.png"]


def test_variations_carry_both_seeds(tmp_path: Path) -> None:
    variations = [Recipe(seed=7, subseed=3, subseed_strength=0.1).later(number) for number in range(2)]
    assert [path.name for path in paths(tmp_path / "apple.png", variations)] == ["apple-7-3.png", "apple-7-4.png"]


def test_a_folder_may_be_named_like_a_file(tmp_path: Path) -> None:
    (tmp_path / "odd.png").mkdir()
    assert list(paths(tmp_path / "odd.png", [SEVEN])) == [tmp_path / "odd.png" / "00000-7.png"]


@pytest.mark.parametrize("name", ["file", "file/deeper", "file/apple.png", "apple.jpg", "a" * 300 + ".png"])
def test_places_where_nothing_can_be_written_are_refused_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CalotypeError, match="-o") as error:
        paths(tmp_path / name, [SEVEN])
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def _refused(*_: object) -> NoReturn:
    raise PermissionError(13, "Permission denied")


def _unwritable(_: object, mode: int) -> bool:
    return not mode & os.W_OK


@pytest.mark.parametrize(
    ("forbidden", "commands"),
    [("os.access", ["txt2img", "batch", "grid"]), ("pathlib.Path.iterdir", ["txt2img"]), ("os.mkdir", ["txt2img"])],
)
def test_a_folder_without_rights_is_one_line_before_a_model_is_loaded(
    forbidden: str, commands: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Rights are refused here by hand: whoever runs the tests may be root, to whom they do not apply."""
    (tmp_path / "a.txt").write_text("a cat")
    words = {"txt2img": ["a"], "batch": [str(tmp_path / "a.txt")], "grid": ["a", "--x", "steps: 1"]}
    folder = tmp_path / ("new" if forbidden == "os.mkdir" else ".")
    before = sorted(tmp_path.iterdir())
    with monkeypatch.context() as patched:
        patched.setattr("calotype.api.load", lambda *_, **__: pytest.fail("a model was loaded"))
        patched.setattr(forbidden, _unwritable if forbidden == "os.access" else _refused)
        for command in commands:
            assert cli.main([command, *words[command], "-o", str(folder)]) == 2
            error = f"calotype: cannot write to the folder {folder}: Permission denied. Choose another with -o.\n"
            assert capsys.readouterr() == ("", error)
    assert sorted(tmp_path.iterdir()) == before
