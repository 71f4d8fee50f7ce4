import re
from pathlib import Path

import pytest

from calotype.data import art
from calotype.data.names import EmojiName, emoji_names, spelled
from calotype.data.noto import bitmaps
from calotype.data.things import THINGS
from data.fetched import here

TEST = """
# group: Animals & Nature

# subgroup: animal-mammal
1F431                                      ; fully-qualified     # \U0001f431 E0.6 cat face
1F43B 200D 2744 FE0F                       ; fully-qualified     # \U0001f43b E13.0 polar bear
1F43B 200D 2744                            ; minimally-qualified # \U0001f43b E13.0 polar bear
"""
ANNOTATIONS = """<ldml><annotations>
<annotation cp="\U0001f431">cat | face | pet</annotation>
<annotation cp="\U0001f431" type="tts">cat face</annotation>
</annotations></ldml>"""

BY_HAND = {
    "kitten", "kitty", "puppy", "dinosaur", "piglet", "hen", "biscuit", "ice cream cone", "cup", "coffee cup", "plane",
    "spaceship", "planet", "electric guitar", "lock", "padlock", "pumpkin", "smiley", "happy face",
}  # fmt: skip


def test_names_and_keywords_by_sequence(tmp_path: Path) -> None:
    (tmp_path / "test.txt").write_text(TEST, "utf-8")
    (tmp_path / "en.xml").write_text(ANNOTATIONS, "utf-8")
    names = emoji_names(tmp_path / "test.txt", [tmp_path / "en.xml"])
    assert names == {
        "1f431": EmojiName("cat face", ("cat", "face", "pet")),
        "1f43b-200d-2744": EmojiName("polar bear", ()),
    }
    assert names["1f431"].words == {"cat", "face", "pet"}


def test_the_variation_selector_is_dropped() -> None:
    assert spelled([0x2764, 0xFE0F, 0x200D, 0x1F525]) == "2764-200d-1f525"


@pytest.fixture(scope="module")
def names() -> dict[str, EmojiName]:
    test, annotations = here(art.name_tables)
    [version] = re.findall(r"^# Version: (\S+)", test.read_text("utf-8"), re.MULTILINE)
    if not art._NAMES[0].version.startswith(version):
        pytest.skip(f"{test} has the names of Unicode {version}, not of {art._NAMES[0].version}")
    return emoji_names(test, annotations)


def test_nothing_is_missing(names: dict[str, EmojiName]) -> None:
    """Every emoji of Unicode 15.0 has a bitmap, and all but the newest 31 have keywords."""
    font = here(art.noto_font)
    assert len(names) == 3664
    assert sum(not name.keywords for name in names.values()) == 31
    found = dict(bitmaps(font, names))
    assert found.keys() == names.keys()
    assert {pixels.shape for pixels in found.values()} == {(128, 136, 4)}


def test_things_are_called_by_unicode_s_words_but_for_a_few(names: dict[str, EmojiName]) -> None:
    """What is neither in a thing's name nor in its keywords was added by hand: nothing is called by a slip."""
    assert {
        called
        for group in THINGS.values()
        for sequence, everyday in group.items()
        for called in everyday
        if not names[sequence].words.issuperset(called.split())
    } == BY_HAND
