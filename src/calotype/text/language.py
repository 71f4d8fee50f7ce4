"""The languages that prompts are written in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from calotype.errors import CalotypeError
from calotype.text.chunks import Chunk, a1111_chunks, comfyui_chunks
from calotype.text.embeddings import NONE, Known
from calotype.text.emphasis import (
    Section,
    Weigh,
    a1111_sections,
    comfyui_sections,
    from_empty,
    times,
    times_with_mean,
)
from calotype.text.prompt import Prompt, a1111_negative, a1111_prompt, comfyui_prompt
from calotype.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Language:
    """How prompts are read and how their weights count."""

    prompt: Callable[[str, int, int | None], Prompt]
    """(text, steps, steps of the passes before) -> what is asked for."""
    negative: Callable[[str, int, int | None], Prompt]
    sections: Callable[[str], list[Section]]
    chunks: Callable[[Sequence[Section], Tokenizer, Known], list[Chunk]]
    weigh: Weigh | None
    """None where weights do not count."""

    def read(self, text: str, tokenizer: Tokenizer, known: Known = NONE) -> list[Chunk]:
        """The chunks of a text that `Prompt` gives, with vectors where it names ``known`` embeddings."""
        return self.chunks(self.sections(text), tokenizer, known)

    def plain(self, prompt: Prompt) -> str:
        """The words that a prompt shows at any step, without what is language in it."""
        texts = dict.fromkeys(prompt.texts())
        return " ".join(piece for each in texts for section in self.sections(each) for piece, _ in section)


def _literally(text: str) -> list[Section]:
    return [[(text, 1.0)]]


_A1111 = partial(Language, a1111_prompt, a1111_negative)
LANGUAGES = {
    ("a1111", "Original"): _A1111(a1111_sections, a1111_chunks, times_with_mean),
    ("a1111", "No norm"): _A1111(a1111_sections, a1111_chunks, times),
    ("a1111", "Ignore"): _A1111(a1111_sections, a1111_chunks, None),
    ("a1111", "None"): _A1111(_literally, a1111_chunks, None),
    ("comfyui", "Original"): Language(comfyui_prompt, comfyui_prompt, comfyui_sections, comfyui_chunks, from_empty),
}
"""By the recipe's prompt style and emphasis."""
A1111 = LANGUAGES["a1111", "Original"]


def language_of(style: str, emphasis: str) -> Language:
    """The language of a style and an emphasis. Raises CalotypeError for a pair that no program has."""
    if (style, emphasis) not in LANGUAGES:
        raise CalotypeError(f"emphasis {emphasis!r} is A1111's: the {style} style has none; choose Original.")
    return LANGUAGES[style, emphasis]
