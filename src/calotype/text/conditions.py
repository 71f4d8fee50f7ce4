"""What the U-Net is told about a prompt."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from calotype.errors import CalotypeError
from calotype.nn.clip import TextEncoder, TextOutput
from calotype.text.chunks import Chunk, Row
from calotype.text.language import A1111, Language
from calotype.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Conditions:
    """A prompt for the U-Net: a vector for each token, and one for the whole (which SDXL takes)."""

    context: Float[Tensor, "1 n d"]
    pooled: Float[Tensor, "1 p"]
    channels: Float[Tensor, "1 k h w"] | None = None
    """What a U-Net of more channels sees beside the noisy latent: a mask, a picture."""
    sizes: Float[Tensor, "1 s"] | None = None
    """What SDXL is told of the picture's size (`Model.sizes`); without it, what is usual."""

    def silenced(self) -> "Conditions":
        """The same without a word: zeros in place of its vectors."""
        return replace(self, context=torch.zeros_like(self.context), pooled=torch.zeros_like(self.pooled))


def encode_prompts(
    prompts: Sequence[str],
    tokenizers: Sequence[Tokenizer],
    encoders: Sequence[TextEncoder],
    clip_skip: int = 1,
    language: Language = A1111,
) -> list[Conditions]:
    """Conditions of each prompt, all of one length, so that one batch can hold them.

    A long prompt's chunks are encoded separately and follow each other, as in A1111; a shorter prompt is followed by
    empty chunks. Two encoders (SDXL) stand side by side, and the second gives the pooled vector (arXiv 2307.01952).
    ``clip_skip`` - 1 more of the last layers are left out than the model's configuration says.
    """
    sides = [
        _encode(prompts, tokenizer, encoder, clip_skip, language)
        for tokenizer, encoder in zip(tokenizers, encoders, strict=True)
    ]
    return [
        Conditions(torch.cat([side.context for side in of_prompt], dim=-1), of_prompt[-1].pooled)
        for of_prompt in zip(*sides, strict=True)
    ]


def skipped(encoder: TextEncoder, clip_skip: int) -> int:
    """How many of its last layers are left out. Raises CalotypeError for more than there are."""
    skip = encoder.config.skip + clip_skip - 1
    if skip > encoder.config.num_layers:
        raise CalotypeError(
            f"clip_skip is {clip_skip}, but the text encoder has {encoder.config.num_layers} layers: choose less."
        )
    return skip


def _encode(
    prompts: Sequence[str], tokenizer: Tokenizer, encoder: TextEncoder, clip_skip: int, language: Language
) -> list[Conditions]:
    skip = skipped(encoder, clip_skip)
    read = [language.read(prompt, tokenizer) for prompt in prompts]
    longest = max(len(chunks) for chunks in read)

    def encoded(chunks: list[Chunk]) -> tuple[list[Row], TextOutput]:
        rows = [Row.of(chunk, tokenizer) for chunk in chunks]
        tokens: Int64[Tensor, "chunks length"] = torch.tensor([row.tokens for row in rows])
        return rows, encoder(tokens.to(encoder.tokens.weight.device), skip)

    conditions = []
    for chunks in read:
        rows, output = encoded([*chunks, *[[] for _ in range(longest - len(chunks))]])
        context = output.context
        if language.weigh and any(weight != 1 for row in rows for weight in row.weights):
            empty = encoded([[]])[1].context[0]
            context = torch.stack([
                language.weigh(vectors, vectors.new_tensor(row.weights), empty)
                for vectors, row in zip(context, rows, strict=True)
            ])  # fmt: skip
        conditions.append(Conditions(context.flatten(0, 1)[None], output.pooled[:1]))
    return conditions
