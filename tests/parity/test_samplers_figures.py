"""Samplers whose originals no package carries, against figures from a run of the original in float64.

All start from the first draw of seed 5 and see the default Gaussian mixture; later draws are the noise.
"""

import pytest
import torch

from calotype.configs import SD15
from calotype.diffusion.driver import sample
from calotype.diffusion.mixture import GaussianMixture
from calotype.diffusion.noise import SeededNoise
from calotype.diffusion.samplers import SAMPLERS, Denoised
from calotype.diffusion.schedulers import SCHEDULERS
from calotype.diffusion.schedules import Schedule

FIGURES = [
    # A1111 1.10.1, modules/sd_samplers_extra.py, restart_sampler
    ("Restart", "karras", 12, [-0.470024244, -0.691999305, -0.622062056, 1.121787758, 0.128189721, 1.766646308]),
    ("Restart", "karras", 24, [-1.261378941, -1.040947729, 0.539164848, -0.173155964, -0.552037005, 1.548818689]),
    ("Restart", "karras", 40, [-0.395260512, -1.078608896, 1.207542127, 0.662839602, -0.902493699, 1.525550435]),
    # ComfyUI, comfy/k_diffusion/sampling.py, sample_ipndm
    ("iPNDM", "normal", 4, [-0.314375373, -0.468713821, -0.409318648, 1.050953247, 0.080004421, 1.636531205]),
    ("iPNDM", "normal", 9, [-0.447901224, -0.687985713, -0.605130572, 1.084920305, 0.181388159, 1.664843567]),
    ("iPNDM", "normal", 24, [-0.435584109, -0.673492063, -0.600892289, 1.085786966, 0.139204153, 1.705115187]),
]


@pytest.mark.parametrize(("name", "scheduler", "steps", "figures"), FIGURES)
def test_the_original_gave_the_same_figures(name, scheduler, steps, figures):
    data, noise = GaussianMixture(), SeededNoise(5, (1, 6), dtype=torch.float64)
    sigmas = SCHEDULERS[scheduler](Schedule.of(SD15.schedule), steps)
    start = noise.normal(0) * sigmas[0]
    *_, last = sample(
        SAMPLERS[name], lambda _: lambda x, sigma: Denoised(data.denoise(x, sigma)), sigmas, noise, x=start
    )
    assert last.x[0].tolist() == pytest.approx(figures, abs=1e-8)
