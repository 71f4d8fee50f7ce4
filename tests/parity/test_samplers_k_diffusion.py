"""Samplers against k-diffusion: the same denoiser, the same noise, float64, the last x compared.

k-diffusion drags in packages that have nothing to do with sampling: its own __init__ and those are replaced by blanks.
"""

import importlib.util
import sys
import types

import pytest
import torch

from calotype import configs
from calotype.diffusion.driver import sample
from calotype.diffusion.noise import SeededNoise
from calotype.diffusion.samplers import SAMPLERS, Denoised
from calotype.diffusion.schedulers import SCHEDULERS, find_scheduler
from calotype.diffusion.schedules import Schedule
from mixture import GaussianMixture

SPEC = importlib.util.find_spec("k_diffusion")
pytestmark = pytest.mark.skipif(SPEC is None, reason="k-diffusion is not installed: pip install --no-deps k-diffusion")
SHAPE = (1, 4, 5, 3)
MIXTURE = GaussianMixture()
BLANKS = (
    "torchdiffeq",
    "torchvision",
    "torchvision.transforms",
    "torchvision.transforms.functional",
    "k_diffusion.utils",
)


@pytest.fixture(scope="module")
def reference():
    before = dict(sys.modules)
    package = types.ModuleType("k_diffusion")
    package.__path__ = list(SPEC.submodule_search_locations)
    sys.modules["k_diffusion"] = package
    for name in BLANKS:
        sys.modules[name] = types.ModuleType(name)
    sys.modules["torchdiffeq"].odeint = None
    package.utils = sys.modules["k_diffusion.utils"]
    package.utils.append_dims = lambda x, ndim: x.reshape(*x.shape, *[1] * (ndim - x.ndim))
    yield importlib.import_module("k_diffusion.sampling")
    for name in {"k_diffusion", "k_diffusion.sampling", *BLANKS}:
        sys.modules.pop(name, None)
        if name in before:
            sys.modules[name] = before[name]


def denoise(x, sigma):
    return Denoised(MIXTURE.denoise(x, sigma))


def model(x, sigma):
    return MIXTURE.denoise(x, sigma[0].item())


def both(reference, name, function, sigmas, arguments=None, theirs=None, ours=None):
    """Our last x and k-diffusion's."""
    noise = SeededNoise(5, SHAPE, dtype=torch.float64)
    start = noise.normal(0) * sigmas[0]
    draws = iter(range(1, 1000))
    kind = SAMPLERS[name].noise
    if kind == "brownian":
        theirs = {"noise_sampler": lambda a, b: noise.brownian(a.item(), b.item()), **(theirs or {})}
    elif kind == "normal" or "eta" in (ours or {}):
        theirs = {"noise_sampler": lambda a, b: noise.normal(next(draws)), **(theirs or {})}
    expected = getattr(reference, function)(model, start, *(arguments or (sigmas,)), disable=True, **(theirs or {}))
    *_, last = sample(SAMPLERS[name], lambda moment: denoise, sigmas, noise, x=start, **(ours or {}))
    return last, expected


CASES = [
    ("Euler", "sample_euler", {}, {}),
    ("Euler a", "sample_euler_ancestral", {}, {}),
    ("Heun", "sample_heun", {}, {}),
    ("DPM2", "sample_dpm_2", {}, {}),
    ("DPM2 a", "sample_dpm_2_ancestral", {}, {}),
    ("LMS", "sample_lms", {}, {}),
    ("DPM++ 2S a", "sample_dpmpp_2s_ancestral", {}, {}),
    ("DPM++ SDE", "sample_dpmpp_sde", {}, {}),
    ("DPM++ 2M", "sample_dpmpp_2m", {}, {}),
    ("DPM++ 2M SDE", "sample_dpmpp_2m_sde", {}, {}),
    ("DPM++ 2M SDE Heun", "sample_dpmpp_2m_sde", {"solver_type": "heun"}, {}),
    ("DPM++ 3M SDE", "sample_dpmpp_3m_sde", {}, {}),
    *[
        (name, function, {"eta": eta}, {"eta": eta})
        for eta in (0.0, 0.4)
        for name, function in [
            ("Euler a", "sample_euler_ancestral"), ("DPM2 a", "sample_dpm_2_ancestral"),
            ("DPM++ 2S a", "sample_dpmpp_2s_ancestral"), ("DPM++ SDE", "sample_dpmpp_sde"),
            ("DPM++ 2M SDE", "sample_dpmpp_2m_sde"), ("DPM++ 3M SDE", "sample_dpmpp_3m_sde"),
        ]
    ],
    *[
        (name, function, {"s_noise": 1.1}, {"s_noise": 1.1})
        for name, function in [
            ("Euler a", "sample_euler_ancestral"), ("DPM2 a", "sample_dpm_2_ancestral"),
            ("DPM++ 2S a", "sample_dpmpp_2s_ancestral"), ("DPM++ SDE", "sample_dpmpp_sde"),
            ("DPM++ 2M SDE", "sample_dpmpp_2m_sde"), ("DPM++ 3M SDE", "sample_dpmpp_3m_sde"),
        ]
    ],
]  # fmt: skip
LADDERS = [
    (config, scheduler, steps)
    for config in (configs.SD15, configs.EMBEDDED)
    for scheduler, steps in [("karras", 20), ("exponential", 7), ("trailing", 20), ("sgm_uniform", 4)]
]
each_ladder = pytest.mark.parametrize(
    ("config", "scheduler", "steps"), LADDERS, ids=lambda value: getattr(value, "name", value)
)


@each_ladder
@pytest.mark.parametrize(("name", "function", "theirs", "ours"), CASES)
def test_k_diffusions_samplers(reference, name, function, theirs, ours, config, scheduler, steps):
    sigmas = SCHEDULERS[scheduler](Schedule.of(config.schedule), steps)
    last, expected = both(reference, name, function, sigmas, None, theirs, ours)
    # k-diffusion integrates LMS's polynomials by a quadrature to 1e-4 only; all others are exact to rounding.
    tolerance = 1e-6 if name == "LMS" else 1e-9
    torch.testing.assert_close(last.x, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("churn", [{"s_churn": 2.0}, {"s_churn": 100.0, "s_noise": 1.007}])
@pytest.mark.parametrize(
    ("name", "function"), [("Euler", "sample_euler"), ("Heun", "sample_heun"), ("DPM2", "sample_dpm_2")]
)
def test_churn(reference, monkeypatch, name, function, churn):
    noise, draws = SeededNoise(5, SHAPE, dtype=torch.float64), iter(range(1, 1000))
    monkeypatch.setattr(torch, "randn_like", lambda x: noise.normal(next(draws)))
    sigmas = SCHEDULERS["karras"](Schedule.of(configs.SD15.schedule), 9)
    last, expected = both(reference, name, function, sigmas, None, churn, churn)
    assert last.draws == next(draws) == 10
    torch.testing.assert_close(last.x, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "function"), [("Euler", "sample_euler"), ("Heun", "sample_heun"), ("DPM2", "sample_dpm_2")]
)
def test_churn_between_two_levels(reference, monkeypatch, name, function):
    noise, draws = SeededNoise(5, SHAPE, dtype=torch.float64), iter(range(1, 1000))
    sigmas = SCHEDULERS["karras"](Schedule.of(configs.SD15.schedule), 9)
    churn = {"s_churn": 3.0, "s_tmin": 0.3, "s_tmax": sigmas[2].item(), "s_noise": 1.007}
    # It draws for every step, we for those that use it.
    kicks = (noise.normal(next(draws)) if 0.3 <= sigma <= sigmas[2] else torch.zeros(SHAPE) for sigma in sigmas)
    monkeypatch.setattr(torch, "randn_like", lambda x: next(kicks))
    last, expected = both(reference, name, function, sigmas, None, churn, churn)
    assert last.draws == next(draws) == 5
    torch.testing.assert_close(last.x, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("eta", [0.0, 0.6])
@pytest.mark.parametrize("steps", [2, 3, 4, 11, 21])
@pytest.mark.parametrize("config", [configs.SD15, configs.EMBEDDED], ids=lambda config: config.name)
def test_dpm_fast(reference, config, steps, eta):
    sigmas = SCHEDULERS["karras"](Schedule.of(config.schedule), steps)
    ends, options = (sigmas[-2].item(), sigmas[0].item(), steps), {"eta": eta, "s_noise": 1.1}
    last, expected = both(reference, "DPM fast", "sample_dpm_fast", sigmas, ends, options, options)
    # k-diffusion's levels are in float32 here, whatever x is in.
    torch.testing.assert_close(last.x, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "options", [{}, {"rtol": 0.01, "atol": 0.001}, {"pcoeff": 0.2, "dcoeff": 0.1}, {"eta": 0.5, "s_noise": 1.1}]
)
def test_dpm_adaptive(reference, options):
    sigmas = SCHEDULERS["karras"](Schedule.of(configs.SD15.schedule), 5)
    ends = (sigmas[-2].item(), sigmas[0].item())
    theirs = {"return_info": True, **options}
    last, (expected, info) = both(reference, "DPM adaptive", "sample_dpm_adaptive", sigmas, ends, theirs, options)
    assert last.index == info["steps"]
    assert last.calls == info["nfe"]
    torch.testing.assert_close(last.x, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("steps", [2, 7, 20])
def test_schedulers(reference, steps):
    schedule = Schedule.of(configs.SD15.schedule)
    ends = schedule.sigmas[0].item(), schedule.sigmas[-1].item()
    for name in ("karras", "exponential", "polyexponential"):
        expected = getattr(reference, f"get_sigmas_{name}")(steps, *ends).double()
        torch.testing.assert_close(find_scheduler(name)(schedule, steps), expected, rtol=1e-5, atol=0)
