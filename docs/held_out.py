"""Make the README's picture: eight prompts taken by hash from the held-out list, seeds 1 to 8, first and only sample.

    python docs/held_out.py

The list is the judges' own: all their categories' prompts that speak of a combination training never showed.
"""

import hashlib
from pathlib import Path
from typing import get_args

from PIL.PngImagePlugin import PngInfo

import calotype
from calotype.data.banks import load_bank
from calotype.data.prompts import Category, prompts
from calotype.imaging.sheet import contact_sheet

FILE = Path(__file__).with_name("held-out.png")


def chosen() -> list[str]:
    """The eight held-out prompts whose sha256 comes first."""
    bank = load_bank("noto")
    listed = {text for category in get_args(Category) for text, _ in prompts(bank, category, "held_out", 50)}
    return sorted(listed, key=lambda text: hashlib.sha256(text.encode()).digest())[:8]


def main() -> None:
    """Write the sheet, with what it is of inside: the model's hash, and the prompts, one a line."""
    studio = calotype.load()
    asked = chosen()
    pictures = [studio.generate(prompt, seed=seed) for seed, prompt in enumerate(asked, start=1)]
    told = PngInfo()
    told.add_text("model", studio.hash)
    told.add_text("prompts", "\n".join(asked))
    contact_sheet(pictures, asked).save(FILE, pnginfo=told)
    print(FILE)


if __name__ == "__main__":
    main()
