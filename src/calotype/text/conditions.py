"""What the U-Net is told about a prompt."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from calotype.errors import CalotypeError
from calotype.nn.clip import TextEncoder, TextOutput
from calotype.text.chunks import Row
from calotype.text.language import A1111, Language
from calotype.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Conditioning:
    """A prompt for the U-Net: a vector for each token, and one for the whole (which SDXL takes)."""

    context: Float[Tensor, "1 n d"]
    pooled: Float[Tensor, "1 p"]
    channels: Float[Tensor, "1 k h w"] | None = None
    """What a U-Net of more channels sees beside the noisy latent: a mask, a picture."""
    micro_conditions: Float[Tensor, "1 s"] | None = None
    """What SDXL is told of the picture's size (`Model.micro_conditions`); without it, what is usual."""

    def silenced(self) -> "Conditioning":
        """The same without a word: zeros in place of its vectors."""
        return replace(self, context=torch.zeros_like(self.context), pooled=torch.zeros_like(self.pooled))


def of_one_length(
    conditions: Sequence[Conditioning], filler: Float[Tensor, "1 k d"] | None = None
) -> list[Conditioning]:
    """Each as long as the longest: followed by the ``filler`` as often as it fits, else by its own last vector."""
    longest = max(each.context.shape[1] for each in conditions)

    def lengthened(context: Float[Tensor, "1 n d"]) -> Float[Tensor, "1 m d"]:
        more = context[:, -1:] if filler is None else filler
        return torch.cat([context, more.repeat(1, (longest - context.shape[1]) // more.shape[1], 1)], dim=1)

    return [replace(each, context=lengthened(each.context)) for each in conditions]


def encode_prompts(
    prompts: Sequence[str],
    tokenizers: Sequence[Tokenizer],
    encoders: Sequence[TextEncoder],
    clip_skip: int = 1,
    language: Language = A1111,
) -> list[Conditioning]:
    """Conditioning of each prompt, all of one length: those that take turns in one picture.

    A long prompt's chunks are encoded separately and follow each other, as in A1111; a shorter prompt is followed by
    empty chunks. Weights count for all prompts together: A1111 keeps the mean of a schedule's texts. Two encoders
    (SDXL) stand side by side, and the second gives the pooled vector (arXiv 2307.01952).
    ``clip_skip`` - 1 more of the last layers are left out than the model's configuration says.
    """
    sides = [
        _encode(prompts, tokenizer, encoder, clip_skip, language)
        for tokenizer, encoder in zip(tokenizers, encoders, strict=True)
    ]
    return [
        Conditioning(torch.cat([side.context for side in of_prompt], dim=-1), of_prompt[-1].pooled)
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
) -> list[Conditioning]:
    skip = skipped(encoder, clip_skip)
    read = [language.read(prompt, tokenizer) for prompt in prompts]
    longest, empty = max(len(chunks) for chunks in read), Row.of([], tokenizer)

    def encoded(rows: list[Row]) -> TextOutput:
        tokens: Int64[Tensor, "chunks length"] = torch.tensor([row.tokens for row in rows])
        output: TextOutput = encoder(tokens.to(encoder.tokens.weight.device), skip)
        return output

    texts = [[*(Row.of(chunk, tokenizer) for chunk in chunks), *[empty] * (longest - len(chunks))] for chunks in read]
    outputs = [encoded(rows) for rows in texts]
    contexts: Float[Tensor, "texts chunks n d"] = torch.stack([output.context for output in outputs])
    weights = torch.tensor([[row.weights for row in rows] for rows in texts], device=contexts.device)
    if language.weigh and (weights != 1).any():
        # In float32, as A1111 and ComfyUI weigh: bfloat16 has no number between 1 and 1.0078.
        nothing = encoded([empty]).context[0].float()
        chunks = zip(contexts.float().unbind(1), weights.unbind(1), strict=True)
        weighed = torch.stack([language.weigh(vectors, weight, nothing) for vectors, weight in chunks], dim=1)
        contexts = weighed.to(contexts.dtype)
    return [
        Conditioning(context.flatten(0, 1)[None], output.pooled[:1])
        for context, output in zip(contexts, outputs, strict=True)
    ]
