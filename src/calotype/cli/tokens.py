"""``calotype tokens PROMPT``: how a prompt is read."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calotype.cli.asking import MODEL
from calotype.recipe import Recipe

if TYPE_CHECKING:
    from calotype.text.language import Language
    from calotype.text.tokenizer import Tokenizer

_FIELDS = Recipe.model_fields


def tokens(
    prompt: Annotated[str, typer.Argument(help="The prompt.")],
    steps: Annotated[int, typer.Option(min=1, help="Over how many steps.")] = _FIELDS["steps"].default,
    prompt_style: Annotated[str, typer.Option(help=_FIELDS["prompt_style"].description)] = "a1111",
    emphasis: Annotated[str, typer.Option(help=_FIELDS["emphasis"].description)] = "Original",
    model: Annotated[Path | None, typer.Option(help=MODEL)] = None,
) -> None:
    """Show how a prompt is read: what at which step, in which chunks, each token with its weight.

    Example: calotype tokens "a (red:1.3) apple on a [blue:green:0.5] background"
    """
    from calotype import api
    from calotype.text.language import language
    from calotype.text.mistakes import mistakes
    from calotype.text.words import unknown_words

    recipe = Recipe(prompt=prompt, steps=steps, prompt_style=prompt_style, emphasis=emphasis)
    words = language(recipe.prompt_style, recipe.emphasis)
    read = words.prompt(prompt, steps, None)
    studio = api.load(model)
    for place, message in mistakes(prompt) if recipe.prompt_style == "a1111" else []:
        line = prompt.count("\n", 0, place)
        column = place - (prompt.rfind("\n", 0, place) + 1)
        typer.echo(f"{prompt.splitlines()[line]}\n{' ' * column}^ {message}")
    for attachment in read.attachments:
        typer.echo(f"attached: {attachment.name}, text encoder {attachment.text_encoder:g}, U-Net {attachment.unet:g}")
    for number, part in enumerate(read.parts, 1):
        if len(read.parts) > 1 or part.weight != 1:
            typer.echo(f"part {number} of {len(read.parts)}, weight {part.weight:g}")
        first = 1
        for end, text in part.schedule:
            # A step counted from 0 is compared with an end counted from 1, as in A1111: a text lasts one step longer.
            last = steps if end == part.schedule[-1][0] else min(end + 1, steps)
            if first <= last:
                typer.echo(f"steps {first} to {last}: {text}" if len(part.schedule) > 1 else text)
                _show_chunks(words, text, studio.tokenizers[0])
            first = max(first, last + 1)
    for word, near in unknown_words(words.plain(prompt), studio.words).items():
        typer.echo(f'unknown: "{word}"' + (f"; the nearest: {', '.join(near)}" if near else ""))


def _show_chunks(words: "Language", text: str, tokenizer: "Tokenizer") -> None:
    for number, chunk in enumerate(words.read(text, tokenizer), 1):
        typer.echo(f"  chunk {number}: {len(chunk)} of {tokenizer.length - 2} tokens")
        for token, weight in chunk:
            heavy = "" if weight == 1 else f"  x {weight:.4g}"
            typer.echo(f"    {token:>6}  {tokenizer.spelling(token)}{heavy}")
