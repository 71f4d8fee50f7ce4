"""What a sampler costs over its network calls: the embedded model, 20 steps, the median of 20 runs of every row.

The network is timed inside the same runs, call by call, so that what else the machine does hits both. Exit status 1
if a sampler spends more than 3 % of the network's time and more than 1 ms a step on itself. All rows take half an hour
on a quiet machine; each is printed when it is done.

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
from calotype.diffusion.samplers import SAMPLERS, Denoised, Sampler, find_sampler
from calotype.model import Model


@torch.inference_mode()
def overhead(model: Model, sampler: Sampler, steps: int, runs: int) -> tuple[float, float, int]:
    """Median seconds of a run within the network and beside it, and its steps. The noise is made within the run."""
    config = model.config
    side = config.unet.sample_size
    positive, negative = model.conditions(["a red apple on a blue background", ""])
    denoiser = guided(model.predict, [(positive, 1.0)], negative, classifier_free(4.0))
    sigmas = ladder(sampler, model.schedule, steps)
    inside: list[float] = []
    beside: list[float] = []
    taken = 0
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
        taken = sum(1 for _ in sample(sampler, lambda moment: timed, sigmas, noise, schedule=model.schedule))
        whole = time.perf_counter() - began
        if seed:  # the first run warms up
            inside.append(spent)
            beside.append(whole - spent)
    return statistics.median(inside), statistics.median(beside), taken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=None)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--samplers", default=",".join(SAMPLERS))
    args = parser.parse_args()
    rows, model, failed = [find_sampler(name)[0] for name in args.samplers.split(",")], load(args.model), []
    print(
        f"{args.steps} steps, median of {args.runs} runs, {torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    for row in rows:
        inside, beside, taken = overhead(model, row, args.steps, args.runs)
        good = beside <= max(0.03 * inside, 0.001 * taken)
        failed += [] if good else [row.name]
        each, share = beside / taken * 1e3, beside / inside
        print(
            f"{row.name:25} network {inside:7.3f} s   sampler {each:6.3f} ms a step   {share:6.2%}   "
            f"{'' if good else '!'}",
            flush=True,
        )
    print(
        f"{len(rows) - len(failed)} of {len(rows)} rows within 3 % or 1 ms a step; not: {', '.join(failed) or 'none'}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
