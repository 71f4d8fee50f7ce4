from pathlib import Path

import pytest

from calotype.errors import CalotypeError
from calotype.text.wildcards import drawn, matrix


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    (tmp_path / "colour.txt").write_text("red\n# none\n\nblue\n")
    (tmp_path / "thing.txt").write_text("__colour__ cat\n")
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "loop.txt").write_text("__loop__\n")
    return tmp_path


def test_a_line_is_drawn_by_the_seed(lists: Path) -> None:
    prompts = [drawn("a __thing__ on __colour__", lists, seed) for seed in range(40)]
    assert set(prompts) == {f"a {one} cat on {other}" for one in ("red", "blue") for other in ("red", "blue")}
    assert prompts == [drawn("a __thing__ on __colour__", lists, seed) for seed in range(40)]
    assert drawn("snake_case __", lists, 1) == "snake_case __"


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("__beast__", "no list for the wildcard __beast__"),
        ("__empty__", "is empty"),
        ("__loop__", "hold each other"),
        ("__../colour__", "lies outside"),
    ],
)
def test_lists_that_give_nothing_are_told(prompt: str, message: str, lists: Path) -> None:
    with pytest.raises(CalotypeError, match=message):
        drawn(prompt, lists, 1)


def test_lists_that_grow_at_every_depth_are_told_before_they_fill_the_memory(lists: Path) -> None:
    """Eight deep they would be 10^8 lines."""
    (lists / "wide.txt").write_text("__wide__ " * 10)
    with pytest.raises(CalotypeError, match="hold each other"):
        drawn("__wide__", lists, 1)
    assert drawn("__colour__ " * 200, lists, 1).split().count("red") in range(50, 150)


def test_a_list_is_read_once_for_a_prompt(lists: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    reading = Path.read_text

    def counted(path: Path, encoding: str) -> str:
        read.append(path.name)
        return reading(path, encoding)

    monkeypatch.setattr(Path, "read_text", counted)
    drawn("__thing__ on __colour__ by __thing__", lists, 1)
    assert sorted(read) == ["colour.txt", "thing.txt"]


def test_only_a_line_break_ends_a_line(lists: Path) -> None:
    (lists / "odd.txt").write_text("one\u2028half\x85on\n", encoding="utf-8")
    assert drawn("__odd__", lists, 1) == "one\u2028half\x85on"


def test_every_selection_of_the_parts() -> None:
    assert matrix("a cat") == ["a cat"]
    assert matrix("a | b |c") == ["a", "a, b", "a, c", "a, b, c"]
    assert matrix("a, | b, | ,c") == ["a,", "a,, b", "a,, c", "a,, b, c"]


def test_more_selections_than_anybody_wants_are_refused() -> None:
    assert len(matrix("|".join("abcdefghij"))) == 512
    with pytest.raises(CalotypeError, match="31 parts have more than 1000 selections"):
        matrix("a" + "|b" * 30)
