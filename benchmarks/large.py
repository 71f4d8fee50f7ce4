"""What large pictures cost: a whole one, and an autoencoder's decoding at once, in bands, and in tiles.

Random weights of SD 1.5's shapes, each figure from a process of its own: the processor's seconds, the peak of resident
memory, and how far the decoded picture is from the one decoded at once in float32, in levels of 255.

    python benchmarks/large.py picture [--side 2048] [--steps 2] [--dtype bfloat16] [--threads 1]
    python benchmarks/large.py decode [--side 1024] [--dtype bfloat16] [--threads 1] [--model FOLDER]
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from calotype import Recipe, Studio, load
from calotype.checkpoints.networks import blank
from calotype.configs import SD15
from calotype.diffusion.windows import blended, windows
from calotype.nn import vae
from calotype.nn.clip import TextEncoder
from calotype.nn.unet import UNet
from calotype.nn.vae import Autoencoder

WAYS = ("exact", "whole", "bands", "tiles")
"""How a latent is decoded; the first one is at once and in float32, whatever the others are in."""


def random(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A network on ``meta`` with numbers: matrices that keep a signal's size, norms that are almost plain."""
    network = network.to(dtype).to_empty(device="cpu").requires_grad_(False)
    for parameter in network.parameters():
        if parameter.dim() > 1:
            parameter.uniform_(-1, 1).mul_((3 / parameter[0].numel()) ** 0.5)
        else:
            parameter.uniform_(0.5, 1)
    return network if dtype == torch.float32 else network.to(memory_format=torch.channels_last)


def studio(dtype: torch.dtype) -> Studio:
    """SD 1.5 by its shapes; the embedded model's tokenizer, which knows fewer words, serves as well."""
    text = random(blank(TextEncoder, SD15.text[0]), dtype)
    unet, autoencoder = random(blank(UNet, SD15.unet), dtype), random(blank(Autoencoder, SD15.vae), dtype)
    return Studio(SD15, load().tokenizers, (text,), unet, autoencoder)


def picture(side: int, steps: int, dtype: torch.dtype) -> None:
    """Make one in tiles of the size that the model was trained on."""
    recipe = Recipe(prompt="a cat", seed=1, steps=steps, width=side, height=side, tile_size=512)
    studio_ = studio(dtype)
    made = studio_.develop(recipe, studio_.states(recipe))
    assert made.size == (side, side)


def decoded(way: str, autoencoder: Autoencoder, latents: Tensor) -> Tensor:
    """The latents' picture: at once, in bands, or in tiles of 512 pixels."""
    vae.WHOLE = 0 if way == "bands" else 2**60
    decode: Callable[[Tensor], Tensor] = autoencoder.decode
    if way != "tiles":
        return decode(latents)
    scale = autoencoder.config.downscale
    size = autoencoder.config.sample_size // scale
    return blended(lambda window: decode(window.of(latents)), windows(*latents.shape[-2:], size, 4), scale)


def measured(arguments: argparse.Namespace) -> dict[str, float]:
    """One figure's run, in this process."""
    dtype, side = getattr(torch, arguments.dtype), arguments.side
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    if arguments.what == "picture":
        picture(side, arguments.steps, dtype)
    else:
        if arguments.model:
            autoencoder = load(arguments.model, dtype=dtype).vae
        else:
            autoencoder = random(blank(Autoencoder, SD15.vae), dtype)
        if arguments.way == "exact":
            autoencoder, dtype = autoencoder.float(), torch.float32
        small = side // autoencoder.config.downscale
        smooth = nn.functional.interpolate(torch.randn(1, 4, 8, 8), (small, small), mode="bicubic").to(dtype)
        began = time.process_time()
        with torch.inference_mode():
            torch.save(decoded(arguments.way, autoencoder, smooth).float(), arguments.into)
        return {"cpu": time.process_time() - began, "peak": peak()}
    return {"cpu": time.process_time(), "peak": peak()}


def peak() -> float:
    """GB of resident memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["picture", "decode"])
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", default=None)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--into", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(measured(arguments)))
        return
    with tempfile.TemporaryDirectory() as folder:
        for way in ("whole",) if arguments.what == "picture" else WAYS:
            into = Path(folder, way)
            command = [sys.executable, __file__, *sys.argv[1:], "--way", way, "--into", str(into)]
            run = json.loads(subprocess.check_output(command))
            line = f"{arguments.what} {way} {arguments.side} x {arguments.side} {arguments.dtype}"
            line += f": {run['cpu']:.1f} s of the processor, peak {run['peak']:.2f} GB"
            if arguments.what == "decode":
                far = (torch.load(into) - torch.load(Path(folder, "exact"))).abs() * 127.5
                line += f", from the exact one at most {far.max():.2f} of 255, {far.mean():.3f} on average"
            print(line, flush=True)


if __name__ == "__main__":
    main()
