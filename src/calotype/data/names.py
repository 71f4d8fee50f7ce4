"""Unicode's names for emoji, from ``emoji-test.txt`` (UTS 51), and keywords, from CLDR's annotations."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

_LINE = re.compile(r"([0-9A-F ]+); (?:fully-qualified|component)\s+# \S+ E[\d.]+ (.+)")


@dataclass(frozen=True)
class EmojiName:
    """What Unicode calls one emoji: ``soft ice cream``, and also ``dessert`` and ``icecream``."""

    name: str
    keywords: tuple[str, ...]

    @property
    def words(self) -> frozenset[str]:
        """All words of both, in lower case."""
        return frozenset(word for text in (self.name, *self.keywords) for word in text.lower().split())


def emoji_names(test: Path, annotations: Iterable[Path] = ()) -> dict[str, EmojiName]:
    """The names by sequence (lower-case hexadecimal, joined by ``-``, U+FE0F dropped), in Unicode's order.

    ``test`` is ``emoji-test.txt``; ``annotations`` are CLDR's ``en.xml`` of annotations and annotationsDerived. Emoji
    newer than the annotations have no keywords.
    """
    keywords = {sequence: words for path in annotations for sequence, words in _keywords(path)}
    names = {}
    for match in filter(None, map(_LINE.match, test.read_text("utf-8").splitlines())):
        sequence = spelled(int(point, 16) for point in match[1].split())
        names[sequence] = EmojiName(match[2], keywords.get(sequence, ()))
    return names


def spelled(points: Iterable[int]) -> str:
    """Code points as a sequence is written here: ``1f468-200d-1f33e``, without the variation selector U+FE0F."""
    return "-".join(f"{point:x}" for point in points if point != 0xFE0F)


def _keywords(path: Path) -> Iterable[tuple[str, tuple[str, ...]]]:
    for annotation in ElementTree.parse(path).iter("annotation"):
        if "type" not in annotation.attrib:
            words = (annotation.text or "").split(" | ")
            yield spelled(map(ord, annotation.attrib["cp"])), tuple(words)
