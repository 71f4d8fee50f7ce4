"""A prompt of 200 tokens: three chunks that transformers encodes alone, side by side, and the pictures they give.

The negative prompt is one chunk long, or is followed by two empty ones.
"""

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline
from torch import Tensor

from calotype.api import load
from calotype.checkpoints.folder import write_folder
from calotype.checkpoints.networks import Networks
from calotype.checkpoints.vocabulary import from_merges
from calotype.nn.clip import TextEncoder
from calotype.nn.unet import UNet
from calotype.nn.vae import Autoencoder
from calotype.recipe import Recipe
from checkpoints.families import FAMILIES
from parity.pairs import TOLERANCE, distance, made

PROMPT, NEGATIVE = " ".join(map("".join, product("abcdefghij", repeat=2))), "dull"
"""A hundred words of two letters, each a token of the vocabulary that is used here."""
SEED, STEPS, SCALE, SIDE = 5, 4, 7.5, 32


def rows(tokenizer: Any, text: str, count: int) -> Tensor:
    """At least ``count`` chunks of 75 tokens, each between start and end and filled up."""
    ids = tokenizer(text, add_special_tokens=False).input_ids
    chunks = [ids[start : start + 75] for start in range(0, max(len(ids), 75 * count), 75)]
    return torch.tensor([
        [tokenizer.bos_token_id, *chunk, tokenizer.eos_token_id, *[tokenizer.pad_token_id] * (75 - len(chunk))]
        for chunk in chunks
    ])  # fmt: skip


def encoded(tokenizer: Any, encoder: Any, text: str, layer: int, count: int) -> tuple[Tensor, Tensor | None]:
    output = encoder(rows(tokenizer, text, count), output_hidden_states=True)
    context = output.last_hidden_state if layer == -1 else output.hidden_states[layer]
    pooled = output.text_embeds[:1] if "text_embeds" in output else None
    return context.flatten(0, 1)[None], pooled


@pytest.mark.parametrize("name", ["sd1", "sd2-v", "sdxl"])
@torch.no_grad()
def test_two_hundred_tokens(tmp_path: Path, name: str) -> None:
    config, folder = FAMILIES[name], tmp_path / "model"
    files = {"vocab.json": json.dumps(from_merges([])[0]), "merges.txt": "#version: 0.2\n"}
    texts = tuple(made(TextEncoder, text) for text in config.text)
    networks = Networks(texts, made(Autoencoder, config.vae), made(UNet, config.unet))
    write_folder(folder, config, networks, files, torch.float32)
    xl = len(config.text) == 2
    pipe = (StableDiffusionXLPipeline if xl else StableDiffusionPipeline).from_pretrained(folder, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    ours = load(folder, dtype=torch.float32)
    sides = [(pipe.tokenizer, pipe.text_encoder)]
    sides += [(pipe.tokenizer_2, pipe.text_encoder_2)] if xl else []
    assert len(pipe.tokenizer(PROMPT, add_special_tokens=False).input_ids) == 200

    side = SIDE // config.vae.downscale
    pipe.scheduler = EulerDiscreteScheduler.from_config(
        pipe.scheduler.config, timestep_spacing="trailing", use_karras_sigmas=False
    )
    recipe = Recipe(
        prompt=PROMPT, negative_prompt=NEGATIVE, seed=SEED, steps=STEPS, cfg_scale=SCALE, width=SIDE, height=SIDE,
        sampler="Euler", scheduler="trailing",
    )  # fmt: skip
    for padded in (False, True):
        asked: dict[str, Tensor] = {}
        for prefix, text in (("", PROMPT), ("negative_", NEGATIVE)):
            parts = [encoded(*each, text, -2 if xl else -1, count=3 if padded else 1) for each in sides]
            context = torch.cat([context for context, _ in parts], dim=-1)
            # diffusers wants one length; to attention, what stands there three times stands there once
            asked[f"{prefix}prompt_embeds"] = context.repeat(1, 3 * 77 // context.shape[1], 1)
            if (pooled := parts[-1][1]) is not None:
                asked[f"{prefix}pooled_prompt_embeds"] = pooled
        theirs = pipe(
            **asked, num_inference_steps=STEPS, guidance_scale=SCALE, height=SIDE, width=SIDE, output_type="latent",
            latents=torch.randn((1, 4, side, side), generator=torch.Generator().manual_seed(SEED)),
        ).images  # fmt: skip
        *_, last = ours.states(recipe.but(pad_cond_uncond=padded))
        torch.testing.assert_close(last.x, theirs, rtol=0, atol=1e-4)

    for prefix, condition in zip(("", "negative_"), ours.conditions([PROMPT, NEGATIVE]), strict=True):
        assert condition.context.shape[1] == 3 * 77
        assert distance(condition.context, asked[f"{prefix}prompt_embeds"]) <= TOLERANCE
        if xl:
            assert distance(condition.pooled, asked[f"{prefix}pooled_prompt_embeds"]) <= TOLERANCE
