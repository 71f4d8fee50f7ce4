"""What a sampler costs over its network calls: the embedded model, 20 steps, the median of 20 runs of each.

The network is timed inside the same runs, call by call, so that what else the machine does hits both. Exit status 1
if a sampler spends more than 3 % of the network's time and more than 1 ms a step on itself.

    python benchmarks/sampler_overhead.py [--model FOLDER] [--steps 20] [--runs 20] [--samplers "Euler,DPM++ 2M"]
"""

import argparse
import statistics
import sys
import time

import torch
from torch import Tensor

from calotype.api import load
from calotype.diffusion.driver import sample
from calotype.diffusion.guidance import classifier_free, guided
from calotype.diffusion.ladder import ladder
from calotype.diffusion.noise import SeededNoise
from calotype.diffusion.samplers import SAMPLERS, Denoised, Sampler
from calotype.model import Model


@torch.inference_mode()
def overhead(model: Model, sampler: Sampler, steps: int, runs: int) -> tuple[float, float]:
    """Median seconds of a run within the network, and beside it. The noise is made within the run."""
    config = model.config
    side = config.vae.sample_size // config.vae.downscale
    positive, negative = model.conditions(["a red apple on a blue background", ""])
    denoiser = guided(model.predict, [(positive, 1.0)], negative, classifier_free(4.0))
    sigmas = ladder(sampler, model.schedule, steps)
    inside: list[float] = []
    beside: list[float] = []
    for seed in range(runs + 1):
        spent = 0.0

        def timed(x: Tensor, sigma: float) -> Denoised:
            nonlocal spent
            began = time.perf_counter()
            answer = denoiser(x, sigma)
            spent += time.perf_counter() - began
            return answer

        began = time.perf_counter()
        noise = SeededNoise(seed, (1, config.vae.latent_channels, side, side))
        for _ in sample(sampler, lambda moment: timed, sigmas, noise, schedule=model.schedule):
            pass
        whole = time.perf_counter() - began
        if seed:  # the first run warms up
            inside.append(spent)
            beside.append(whole - spent)
    return statistics.median(inside), statistics.median(beside)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=None)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--samplers", default=",".join(SAMPLERS))
    args = parser.parse_args()
    model, failed = load(args.model), []
    print(
        f"{args.steps} steps, median of {args.runs} runs, {torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    for name in args.samplers.split(","):
        inside, beside = overhead(model, SAMPLERS[name], args.steps, args.runs)
        good = beside <= max(0.03 * inside, 0.001 * args.steps)
        failed += [] if good else [name]
        each, share = beside / args.steps * 1e3, beside / inside
        print(
            f"{name:20} network {inside:7.3f} s   sampler {each:6.3f} ms a step   {share:6.2%}   {'' if good else '!'}"
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
