"""The twelve named colours: sRGB anchors far enough apart that a jittered shade is nearest to its own anchor."""

import random

RGB = tuple[int, int, int]

COLOURS: dict[str, RGB] = {
    "red": (214, 48, 49),
    "orange": (240, 128, 36),
    "yellow": (250, 212, 66),
    "green": (60, 164, 82),
    "blue": (48, 100, 212),
    "purple": (130, 68, 182),
    "pink": (246, 150, 192),
    "brown": (130, 84, 48),
    "black": (26, 26, 28),
    "white": (246, 246, 246),
    "gray": (142, 142, 146),
    "cyan": (78, 196, 216),
}

LIGHTER, TINT = 6, 3
"""The largest departures of a shade from its anchor: of all channels together, and of each beside that; of 255."""


def shade(name: str, rng: random.Random) -> RGB:
    """A shade of the named colour, within LIGHTER + TINT of its anchor in each channel."""
    lighter = rng.randint(-LIGHTER, LIGHTER)
    red, green, blue = (min(255, c + lighter + rng.randint(-TINT, TINT)) for c in COLOURS[name])
    return red, green, blue
