"""Samples per second of our training steps against the same steps written with diffusers' classes.

Same configuration, bfloat16 autocast where it is fast, contiguous layout, the same optimizer; attention as each has it.
The two take turns, so that what else the machine does hits both.

    python benchmarks/train_step.py [--rounds 12] [--task unet vae]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calotype.checkpoints.settings import write_model
from calotype.configs import EMBEDDED
from calotype.hardware import half_precision
from calotype.nn.unet import UNet
from calotype.nn.vae import Autoencoder
from calotype.training.loop import adamw
from calotype.training.run_file import OptimizerSettings

Step = Callable[[], Tensor]
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def unet_steps(batch: int) -> tuple[Step, Step]:
    """Predict a target from latents of full size, a time and 77 tokens of context."""
    from diffusers import UNet2DConditionModel

    config = EMBEDDED.unet
    side = config.sample_size
    x, target = torch.randn(2, batch, config.in_channels, side, side, device=DEVICE)
    t = torch.randint(1000, (batch,), device=DEVICE).float()
    context = torch.randn(batch, 77, config.context_dim, device=DEVICE)
    ours = UNet(config).to(DEVICE)
    theirs = UNet2DConditionModel.from_config(write_model(EMBEDDED)["unet"]).to(DEVICE)
    check_same_size(ours, theirs)
    return (
        step(ours, lambda: F.mse_loss(ours(x, t, context).float(), target)),
        step(theirs, lambda: F.mse_loss(theirs(x, t, context).sample.float(), target)),
    )


def vae_steps(batch: int) -> tuple[Step, Step]:
    """Reconstruct pictures of full size from a posterior sample."""
    from diffusers import AutoencoderKL

    config = EMBEDDED.vae
    images = torch.rand(batch, 3, config.sample_size, config.sample_size, device=DEVICE) * 2 - 1
    latent = config.sample_size // config.downscale
    noise = torch.randn(batch, config.latent_channels, latent, latent, device=DEVICE)
    ours = Autoencoder(config).to(DEVICE)
    theirs = AutoencoderKL.from_config(write_model(EMBEDDED)["vae"]).to(DEVICE)

    check_same_size(ours, theirs)

    def reconstruct_theirs() -> Tensor:
        posterior = theirs.encode(images).latent_dist
        return theirs.decode(posterior.mean + posterior.std * noise).sample

    return (
        step(ours, lambda: F.l1_loss(ours.decode(ours.encode(images).sample(noise)).float(), images)),
        step(theirs, lambda: F.l1_loss(reconstruct_theirs().float(), images)),
    )


def check_same_size(ours: nn.Module, theirs: nn.Module) -> None:
    """Both have the same number of parameters: the same network."""
    own, other = (sum(parameter.numel() for parameter in network.parameters()) for network in (ours, theirs))
    assert own == other, f"{own} parameters against {other}"


def step(network: nn.Module, loss_of: Callable[[], Tensor]) -> Step:
    """One optimizer step on a loss."""
    network.train()
    optimizer = adamw(network, OptimizerSettings())

    def run() -> Tensor:
        with half_precision(DEVICE):
            loss = loss_of()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss

    return run


def seconds(run: Step) -> float:
    """The time of one step, waited for."""
    start = time.perf_counter()
    run().item()
    return time.perf_counter() - start


def main() -> None:
    """Print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--task", nargs="+", choices=("unet", "vae"), default=("unet", "vae"))
    options = parser.parse_args()
    for task in options.task:
        batch = 64 if task == "unet" else 8
        ours, theirs = unet_steps(batch) if task == "unet" else vae_steps(batch)
        for warm in (ours, theirs) * 2:
            seconds(warm)
        rounds = [(seconds(ours), seconds(theirs)) for _ in range(options.rounds)]
        own, other = (batch / statistics.median(times) for times in zip(*rounds, strict=True))
        ratio = statistics.median(b / a for a, b in rounds)
        print(
            f"{task}: batch {batch}, {options.rounds} rounds, {torch.get_num_threads()} threads: "
            f"calotype {own:.1f}/s, diffusers {other:.1f}/s, ratio of each pair's times {ratio:.2f}"
        )


if __name__ == "__main__":
    main()
