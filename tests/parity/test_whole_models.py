"""SD 1.5 at its whole size, every parameter random: our folder and our single file, opened by diffusers and by us."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from torch import Tensor, nn

from calotype.api import Studio, load
from calotype.checkpoints.convert import write_single
from calotype.checkpoints.folder import write_folder
from calotype.checkpoints.keys import canonical, text_names, to_theirs, unet_names, vae_names
from calotype.checkpoints.networks import Networks
from calotype.checkpoints.vocabulary import from_merges
from calotype.configs import CLIP_L, SD15
from calotype.diffusion.driver import latent
from calotype.nn.clip import TextEncoder
from calotype.nn.unet import UNet
from calotype.nn.vae import Autoencoder
from calotype.recipe import Recipe
from parity.pairs import TOLERANCE, distance, made

pytestmark = pytest.mark.slow

PROMPT, NEGATIVE = "a unicorn on a purple background, 7 apples", "blurry"
WIDTH, HEIGHT, STEPS, SCALE, SEED = 192, 128, 4, 7.5, 5


@dataclass(frozen=True)
class Files:
    folder: Path
    single: Path


def vocabulary() -> dict[str, str]:
    """As large as CLIP's: any two bytes may be one token, in place of what is frequent in English."""
    letters = [token for token in from_merges([])[0] if len(token) == 1]
    vocab, merges = from_merges(list(product(letters, letters))[: CLIP_L.vocab_size - 514])
    assert len(vocab) == CLIP_L.vocab_size
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    return {"vocab.json": json.dumps(vocab), "merges.txt": "\n".join(lines)}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Files]:
    """2 GB each, in half precision; CLIP's vocabulary lies in the hub's cache."""
    place = tmp_path_factory.mktemp("sd15")
    files = Files(place / "folder", place / "single.safetensors")
    parts = ((TextEncoder, SD15.text[0]), (Autoencoder, SD15.vae), (UNet, SD15.unet))
    text, vae, unet = (made(kind, config, torch.float16) for kind, config in parts)
    networks = Networks((text,), vae, unet)
    write_folder(files.folder, SD15, networks, vocabulary())
    write_single(files.single, SD15, networks)
    snapshot = place / "hub/models--openai--clip-vit-large-patch14/snapshots/0"
    snapshot.parent.mkdir(parents=True)
    snapshot.symlink_to(files.folder / "tokenizer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_CACHE", str(place / "hub"))
        yield files


def networks(model: Studio) -> list[tuple[nn.Module, dict[str, str]]]:
    """The networks of a model, and what diffusers calls their parts."""
    text, vae, unet = model.text_encoders[0], model.vae, model.unet
    return [(text, text_names(text.config)), (vae, vae_names(vae.config)), (unet, unet_names(unet.config))]


def test_both_layouts_hold_the_same_numbers_for_diffusers_and_for_us(files: Files) -> None:
    ours = load(files.folder, dtype=torch.float16)
    for part, other in zip(networks(ours), networks(load(files.single, dtype=torch.float16)), strict=True):
        found = other[0].state_dict()
        assert all(torch.equal(found[key], tensor) for key, tensor in part[0].state_dict().items())
    pipe = StableDiffusionPipeline.from_single_file(
        files.single, config=str(files.folder), local_files_only=True, torch_dtype=torch.float16
    )
    for (part, names), theirs in zip(networks(ours), (pipe.text_encoder, pipe.vae, pipe.unet), strict=True):
        found = {spelled: theirs.state_dict()[key] for key, spelled in canonical(theirs.state_dict()).items()}
        assert all(torch.equal(found[to_theirs(key, names)], tensor) for key, tensor in part.state_dict().items())
        assert len(found) == len(part.state_dict())


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="counts private memory as Linux does")
def test_loading_takes_little_more_memory_than_the_weights(files: Files) -> None:
    benchmark = Path(__file__).parents[2] / "benchmarks" / "load.py"
    measured = subprocess.check_output([sys.executable, benchmark, "--measure", "calotype", files.single])
    assert 0.9 < json.loads(measured)["memory"] <= 1.1


@torch.no_grad()
def test_the_networks_and_the_picture_are_those_of_diffusers(files: Files) -> None:
    pipe = StableDiffusionPipeline.from_pretrained(files.folder, local_files_only=True, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    ours = load(files.single, dtype=torch.float32)

    (condition,) = ours.conditions([PROMPT])
    tokens = pipe.tokenizer(PROMPT, padding="max_length", return_tensors="pt").input_ids
    assert distance(condition.context, pipe.text_encoder(tokens)[0]) <= TOLERANCE

    torch.manual_seed(2)
    images, latents = 0.1 * torch.randn(1, 3, 136, 72), 0.1 * torch.randn(1, 4, 17, 9)
    assert distance(ours.vae.encode(images).mean, pipe.vae.encode(images).latent_dist.mean) <= TOLERANCE
    assert distance(ours.vae.decode(latents), pipe.vae.decode(latents).sample) <= TOLERANCE
    time = torch.tensor([981.0])
    asked, answer = (latents, time, condition.context), pipe.unet(latents, time, condition.context).sample
    assert distance(ours.unet(*asked, None), answer) <= TOLERANCE

    noise = torch.randn((1, 4, HEIGHT // 8, WIDTH // 8), generator=torch.Generator().manual_seed(SEED))
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    theirs = pipe(
        PROMPT, negative_prompt=NEGATIVE, latents=noise, num_inference_steps=STEPS, guidance_scale=SCALE,
        height=HEIGHT, width=WIDTH, output_type="latent",
    ).images  # fmt: skip
    torch.testing.assert_close(drawn(ours), theirs, rtol=0, atol=1e-4)


def drawn(model: Studio) -> Tensor:
    recipe = Recipe(
        prompt=PROMPT, negative_prompt=NEGATIVE, seed=SEED, steps=STEPS, sampler="DDIM", scheduler="leading",
        cfg_scale=SCALE, width=WIDTH, height=HEIGHT,
    )  # fmt: skip
    *_, last = model.states(recipe)
    return latent(last.x, float(model.schedule.sigmas[0]))
