"""Samplers and schedules that no package carries, against figures from runs of the originals in float64.

The originals are AUTOMATIC1111's stable-diffusion-webui 1.10.1 (modules/sd_samplers_extra.py, sd_samplers_lcm.py,
sd_samplers_timesteps_impl.py, sd_schedulers.py) for the rows named in A1111, and ComfyUI 0.3.64, commit a125cd84
(comfy/k_diffusion/sampling.py, comfy/samplers.py) for all others; exp_heun_2_x0 is seeds_2 there with r = 1 and the
later versions' phi_2. All saw the default Gaussian mixture, and without the prompt the same at x + 0.1; they began
with the first draw of seed 5, the later draws in turn were their noise. er_sde's points were made float64.
"""

import json
from pathlib import Path

import pytest
import torch

from calotype.configs import SD15
from calotype.diffusion.driver import latent, sample
from calotype.diffusion.noise import SeededNoise
from calotype.diffusion.samplers import SAMPLERS, Denoised
from calotype.diffusion.schedulers import SCHEDULERS
from calotype.diffusion.schedules import Schedule
from mixture import GaussianMixture

FIGURES = json.loads((Path(__file__).parent / "figures.json").read_text(encoding="utf-8"))
A1111 = ("Restart", "DDIM CFG++", "LCM")
SCHEDULE = Schedule.of(SD15.schedule)


def denoise(x, sigma):
    data = GaussianMixture()
    return Denoised(data.denoise(x, sigma), data.denoise(x + 0.1, sigma))


@pytest.mark.parametrize(
    ("name", "case"), [(name, case) for name in FIGURES["samplers"] for case in FIGURES["samplers"][name]]
)
def test_the_original_gave_the_same_picture(name, case):
    scheduler, steps, *options = case.split()
    chosen = {option: float(value) for option, value in (pair.split("=") for pair in options)}
    row, noise = SAMPLERS[name], SeededNoise(5, (1, 6), dtype=torch.float64)
    sigmas = SCHEDULERS[scheduler](SCHEDULE, int(steps))
    if row.variance_preserving:
        sigmas = sigmas[:-1]  # A1111's end at the last of their training steps
    *_, last = sample(row, lambda _: denoise, sigmas, noise, schedule=SCHEDULE, **chosen)
    expected = FIGURES["samplers"][name][case]
    assert latent(last.x, sigmas[-1].item())[0].tolist() == pytest.approx(expected, rel=1e-9, abs=0)


def test_every_row_that_names_such_an_original_has_figures():
    rows = {row.name for row in SAMPLERS.values() if row.equals.startswith("ComfyUI sample_")}
    assert rows | set(A1111) == set(FIGURES["samplers"])


@pytest.mark.parametrize("steps", [5, 12])
@pytest.mark.parametrize(
    ("program", "name"), [(program, name) for program, found in FIGURES["schedulers"].items() for name in found]
)
def test_the_original_gave_the_same_levels(program, name, steps):
    ours = SCHEDULERS[name](SCHEDULE, steps)
    if (program, name) == ("A1111", "kl_optimal"):
        ours = SCHEDULERS[name](SCHEDULE, steps + 1)[:-1]  # which ends at the lowest level, not at 0
    assert ours.tolist() == pytest.approx(FIGURES["schedulers"][program][name][str(steps)], rel=1e-9, abs=0)
