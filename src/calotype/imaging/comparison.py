"""Whether a picture made again is the same, and if not: from which step on, by how much, and why, most likely."""

from dataclasses import dataclass
from itertools import zip_longest

from PIL import Image, ImageChops

from calotype.imaging.picture import Picture
from calotype.imaging.reading import fingerprint
from calotype.recipe import Record

_SAID = {
    "model_hash": "another model file or --vae",
    "choices": "another reading of the model's files",
    "refiner_hash": "another refiner",
    "dtype": "another number format",
    "device": "another device",
    "torch": "another torch",
    "cpu": "another CPU",
    "threads": "another number of threads",
    "calotype": "another Calotype",
}
"""What can change a pixel, the likeliest cause first."""


@dataclass(frozen=True)
class Verdict:
    """What came of comparing a picture with its remake."""

    step: int | None
    """The first step, from 1, after which the latents differ; None if none do."""
    pixels: int
    """How many pixels differ."""
    largest: int
    """The largest difference of a channel, of 255."""
    causes: tuple[str, ...]
    """What may explain it, likeliest first; of equal pictures, what turned out not to matter."""

    @property
    def equal(self) -> bool:
        """Whether every pixel and every step is the same."""
        return self.step is None and self.pixels == 0

    def __str__(self) -> str:
        if self.equal:
            return f"equal: every step and every pixel{self._in_spite}"
        step = "no step differs" if self.step is None else f"the first step that differs is {self.step}"
        return (
            f"differs: {step}; {self.pixels} pixels differ, by at most {self.largest} of 255; {'; '.join(self.causes)}"
        )

    @property
    def _in_spite(self) -> str:
        return f", in spite of {' and '.join(self.causes)}" if self.causes else ""


def compare(image: Image.Image, record: Record, again: Picture) -> Verdict:
    """An ``image`` read from a file, with the ``record`` in it, against the picture made from that record ``again``."""
    now = again.record
    steps = enumerate(zip_longest(record.digests, now.digests), 1)
    step = next((number for number, (then, here) in steps if then != here), None)
    pixels, largest = _pixels(image.convert("RGB"), again)
    causes = differences(record, now)
    if step is None and pixels:
        edited = record.pixels and record.pixels != fingerprint(image.convert("RGB"))
        causes = ["the pixels were changed after they were saved" if edited else "the decoder's result", *causes]
    elif step is not None and not causes:
        causes = ["nothing else is different: the record was changed, or the processor computes otherwise than it did"]
    return Verdict(step, pixels, largest, tuple(causes))


def differences(then: Record, now: Record) -> list[str]:
    """What else is different between two records of one recipe, likeliest cause of other pixels first."""
    lines = [
        f"another {name} ({_short(digest)} then, {_short(now.inputs.get(name, 'none'))} now)"
        for name, digest in then.inputs.items()
        if now.inputs.get(name) != digest
    ]
    before, here = ({**dict(record), **record.versions} for record in (then, now))
    return lines + [
        f"{said} ({_short(before[name])} then, {_short(here.get(name, 'none'))} now)"
        for name, said in _SAID.items()
        if before.get(name) and before[name] != here.get(name)
    ]


def _short(value: object) -> str:
    text = str(value)
    return text[:10] if len(text) == 64 else text


def _pixels(one: Image.Image, other: Image.Image) -> tuple[int, int]:
    if one.size != other.size:
        return max(one.width * one.height, other.width * other.height), 255
    difference = ImageChops.difference(one, other.convert("RGB"))
    red, green, blue = difference.split()
    counts = ImageChops.lighter(ImageChops.lighter(red, green), blue).histogram()
    return sum(counts[1:]), max(level for level, count in enumerate(counts) if count)
