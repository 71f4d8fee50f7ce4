"""``calotype tokens PROMPT``: how a prompt is read."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calotype.cli.asking import MODEL
from calotype.errors import CalotypeError
from calotype.recipe import Recipe

if TYPE_CHECKING:
    from calotype.text.chunks import Chunk
    from calotype.text.prompt import Prompt
    from calotype.text.schedule import PromptSchedule
    from calotype.text.tokenizer import Tokenizer

_FIELDS = Recipe.model_fields


def tokens(
    prompt: Annotated[str, typer.Argument(help="The prompt.")],
    steps: Annotated[int, typer.Option(min=1, help="Over how many steps.")] = _FIELDS["steps"].default,
    prompt_style: Annotated[str, typer.Option(help=_FIELDS["prompt_style"].description)] = "a1111",
    emphasis: Annotated[str, typer.Option(help=_FIELDS["emphasis"].description)] = "Original",
    embedding: Annotated[
        list[str] | None,
        typer.Option(help="An embedding to reckon with, and its number of vectors: bad-hands:8. May be repeated."),
    ] = None,
    model: Annotated[Path | None, typer.Option(help=MODEL)] = None,
) -> None:
    """Show how a prompt is read: what at which step, in which chunks, each token with its weight.

    A caret stands under what looks like a mistake, and words that the model has never seen are named.

    Example: calotype tokens "a (red:1.3) apple on a [blue:green:0.5] background"
    """
    from calotype import api
    from calotype.text.language import language_of
    from calotype.text.mistakes import mistakes
    from calotype.text.words import unknown_words, words

    recipe = Recipe(prompt=prompt, steps=steps, prompt_style=prompt_style, emphasis=emphasis)
    known = dict(_embedding(each) for each in embedding or ())
    language = language_of(recipe.prompt_style, recipe.emphasis)
    read = language.prompt(prompt, steps, None)
    studio = api.load(model)
    tokenizer = studio.tokenizers[0]
    chunks = {text: language.read(text, tokenizer, known) for text in read.texts()}
    for place, message in mistakes(prompt, recipe.emphasis != "None") if recipe.prompt_style == "a1111" else []:
        start = prompt.rfind("\n", 0, place) + 1
        line, _, _ = prompt[start:].partition("\n")
        typer.echo(f"{line}\n{' ' * (place - start)}^ {message}")
    for line in _lines(read, chunks, steps, tokenizer):
        typer.echo(line)
    vocabulary = studio.words and studio.words.union(words(" ".join(["embedding", *known])) if known else ())
    for word, near in unknown_words(language.plain(read), vocabulary).items():
        typer.echo(f'unknown: "{word}"' + (f"; the nearest: {', '.join(near)}" if near else ""))


def _embedding(asked: str) -> tuple[str, int]:
    name, colon, count = asked.rpartition(":")
    if not colon:
        return asked, 1
    if not name or not count.isdecimal() or int(count) < 1:
        raise CalotypeError(f"{asked!r} is no embedding: name it, and say how many vectors it has, as in bad-hands:8.")
    return name, int(count)


def _lines(prompt: "Prompt", chunks: "dict[str, list[Chunk]]", steps: int, tokenizer: "Tokenizer") -> Iterator[str]:
    for attachment in prompt.attachments:
        yield f"attached: {attachment.name}, text encoder {attachment.text_encoder:g}, U-Net {attachment.unet:g}"
    for number, subprompt in enumerate(prompt.subprompts, 1):
        if len(prompt.subprompts) > 1 or subprompt.weight != 1:
            yield f"part {number} of {len(prompt.subprompts)}, weight {subprompt.weight:g}"
        for first, last, text in _spans(subprompt.schedule, steps):
            yield f"steps {first} to {last}: {text}" if len(subprompt.schedule) > 1 else text
            yield from _chunk_lines(chunks[text], tokenizer)


def _spans(schedule: "PromptSchedule", steps: int) -> Iterator[tuple[int, int, str]]:
    """First and last step of each text, counted from 1."""
    first = 1
    for end, text in schedule:
        # A step counted from 0 is compared with an end counted from 1, as in A1111: a text lasts one step longer.
        last = steps if end == schedule[-1][0] else min(end + 1, steps)
        if first <= last:
            yield first, last, text
        first = max(first, last + 1)


def _chunk_lines(chunks: "Sequence[Chunk]", tokenizer: "Tokenizer") -> Iterator[str]:
    from calotype.text.embeddings import Vector

    for number, chunk in enumerate(chunks, 1):
        yield f"  chunk {number}: {len(chunk)} of {tokenizer.room} tokens"
        for token, weight in chunk:
            heavy = "" if weight == 1 else f"  x {weight:.4g}"
            if isinstance(token, Vector):
                yield f"    vector  {token.index + 1} of the embedding {token.file}{heavy}"
            else:
                yield f"    {token:>6}  {tokenizer.spelling(token)}{heavy}"
