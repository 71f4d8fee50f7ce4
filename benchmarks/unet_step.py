"""What two choices bring a large U-Net on a CPU: keeping freed memory, and GEGLU's halves as two products.

A step of Stable Diffusion 1.5 of random weights at 512 pixels, batch 2, in bfloat16. Every way in a process of its own
(memory that is kept cannot be unkept), in turn; medians over the rounds, in brackets their ratios to neither.

    python benchmarks/unet_step.py [--rounds 3]
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time

import torch
from torch import Tensor, nn

from calotype.configs import SD15
from calotype.hardware import keep_freed_memory
from calotype.nn.attention import Halves
from calotype.nn.unet import UNet

WAYS = ("neither", "kept", "halves", "both")


def whole(self: Halves, x: Tensor) -> tuple[Tensor, ...]:
    """One product, and its answer's halves."""
    return nn.Linear.forward(self, x).chunk(2, dim=-1)


@torch.inference_mode()
def seconds(way: str) -> float:
    """The median of five steps after one that warms up."""
    if way in ("kept", "both"):
        keep_freed_memory()
    if way in ("neither", "kept"):
        Halves.forward = whole  # type: ignore[assignment, method-assign]
    with torch.device("meta"):
        unet = UNet(SD15.unet).to(torch.bfloat16)
    unet = unet.to_empty(device="cpu").to(memory_format=torch.channels_last).eval()
    for parameter in unet.parameters():
        parameter.normal_(0, 0.02)
    x, context = torch.randn(2, 4, 64, 64).bfloat16(), torch.randn(2, 77, SD15.unet.context_dim).bfloat16()
    found = []
    for _ in range(6):
        began = time.perf_counter()
        unet(x, torch.tensor([500.0, 500.0]), context)
        found.append(time.perf_counter() - began)
    return statistics.median(found[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        print(seconds(args.way), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
        return
    found: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    for _ in range(args.rounds):
        for way in WAYS:
            done = subprocess.run([sys.executable, __file__, "--way", way], capture_output=True, check=True, text=True)
            found[way].append([float(figure) for figure in done.stdout.split()])
    times, peaks = ({way: statistics.median(run[k] for run in found[way]) for way in WAYS} for k in (0, 1))
    for way in WAYS:
        print(f"{way:8} {times[way]:.2f} s a step ({times[way] / times['neither']:.2f}), at most {peaks[way]:.2f} GiB")


if __name__ == "__main__":
    main()
