"""What the U-Net is told about a prompt."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from calotype.errors import CalotypeError
from calotype.nn.clip import TextEncoder
from calotype.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Conditions:
    """A prompt for the U-Net: a vector for each token, and one for the whole (which SDXL takes)."""

    context: Float[Tensor, "1 n d"]
    pooled: Float[Tensor, "1 p"]


def encode_prompts(
    prompts: Sequence[str], tokenizers: Sequence[Tokenizer], encoders: Sequence[TextEncoder], clip_skip: int = 1
) -> list[Conditions]:
    """Conditions of each prompt, all of one length, so that one batch can hold them.

    A long prompt's chunks are encoded separately and follow each other, as in A1111; a shorter prompt is followed by
    empty chunks. Two encoders (SDXL) stand side by side, and the second gives the pooled vector (arXiv 2307.01952).
    ``clip_skip`` - 1 more of the last layers are left out than the model's configuration says.
    """
    sides = [
        _encode(prompts, tokenizer, encoder, clip_skip) for tokenizer, encoder in zip(tokenizers, encoders, strict=True)
    ]
    return [
        Conditions(torch.cat([side.context for side in of_prompt], dim=-1), of_prompt[-1].pooled)
        for of_prompt in zip(*sides, strict=True)
    ]


def _encode(prompts: Sequence[str], tokenizer: Tokenizer, encoder: TextEncoder, clip_skip: int) -> list[Conditions]:
    skip = encoder.config.skip + clip_skip - 1
    if skip > encoder.config.num_layers:
        raise CalotypeError(
            f"clip_skip is {clip_skip}, but the text encoder has {encoder.config.num_layers} layers: choose less."
        )
    rows = [tokenizer.encode(prompt) for prompt in prompts]
    chunks = max(len(row) for row in rows)
    empty = tokenizer.encode("")
    return [_encode_chunks(torch.cat([row, empty.expand(chunks - len(row), -1)]), encoder, skip) for row in rows]


def _encode_chunks(tokens: Int64[Tensor, "chunks length"], encoder: TextEncoder, skip: int) -> Conditions:
    output = encoder(tokens.to(encoder.tokens.weight.device), skip)
    return Conditions(output.context.flatten(0, 1)[None], output.pooled[:1])
