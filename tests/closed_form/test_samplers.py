"""Every row of the registry against data whose exact denoiser, flow and marginals are known. All in float64."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calotype.configs import SD15
from calotype.diffusion.driver import sample
from calotype.diffusion.samplers import SAMPLERS, Denoised
from calotype.diffusion.samplers.state import SamplerState
from calotype.diffusion.schedulers import SCHEDULERS
from calotype.diffusion.schedules import Schedule
from mixture import GaussianMixture

ROWS = list(SAMPLERS.values())
INCONSISTENT = "DPM++ 2S a CFG++"
"""As in ComfyUI, where half of its step takes the noise of one prediction and the x0 of another."""
DETERMINISTIC = [row for row in ROWS if not row.stochastic and row.name != "DPM adaptive"]
STOCHASTIC = [row for row in ROWS if row.stochastic and row.name not in ("LCM", "TCD", INCONSISTENT)]
QUIET = [(row, {name: 0.0}) for row in STOCHASTIC for name in ("eta", "tau") if name in row.options]
EQUAL_STEPS = ("PNDM", "PLMS", "iPNDM")
"""Their coefficients are those of equal steps: only there have they their order."""
UNEVEN_STEPS = ("iPNDM-v",)
"""Where the ratio of the levels is even it has an order more than in general."""
MIXTURE = GaussianMixture()
GAUSSIAN = GaussianMixture((0.0,), (0.8,), (1.0,))
SCHEDULE = Schedule.of(SD15.schedule)
HIGH, LOW = 6.0, 0.3


def exact(data=MIXTURE, uncond=False):
    def denoise(x, sigma):
        return Denoised(data.denoise(x, sigma), data.denoise(x + 0.1, sigma) if uncond else None)

    return lambda moment: denoise


def levels(steps, high=HIGH, low=LOW):
    return torch.linspace(math.log(high), math.log(low), steps + 1, dtype=torch.float64).exp()


class Basis:
    """Noise whose draws are the axes: a linear run then shows how much of each draw is in the result."""

    def __init__(self, size):
        self.axes, self.drawn = iter(torch.eye(size, dtype=torch.float64)), []
        self.motion = {HIGH: next(self.axes) * 0}

    def normal(self, draw):
        self.drawn.append(draw)
        return next(self.axes)

    def brownian(self, a, b):
        self.drawn.append((a, b))
        return (self.at(b) - self.at(a)) / math.sqrt(abs(b - a))

    def at(self, level):
        """Brownian motion that starts at the highest level: the next lower one, or a bridge between two known."""
        if level not in self.motion:
            above = min(known for known in self.motion if known > level)
            below = max((known for known in self.motion if known < level), default=None)
            w, step = self.motion[above], above - level
            if below is not None:
                w = w + (self.motion[below] - w) * step / (above - below)
                step *= (level - below) / (above - below)
            self.motion[level] = w + next(self.axes) * math.sqrt(step)
        return self.motion[level]


class Hashed:
    """Noise that is a function of the question, as SeededNoise is, but of float64 and cheap."""

    def normal(self, draw):
        return torch.randn(1, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(draw))

    def brownian(self, a, b):
        return self.normal(hash((a, b)) % 2**32)


class Silent:
    def normal(self, draw):
        raise AssertionError("drew noise")

    brownian = normal


def run(row, sigmas, x=None, noise=None, denoiser=None, state=None, **options):
    noise = noise or Hashed()
    return list(sample(row, denoiser or exact(), sigmas, noise, x=x, state=state, schedule=SCHEDULE, **options))


def error(row, steps, options):
    """At three quarters of the way, before solvers lower their order, and from an exact history of three steps."""
    sigmas = levels(steps)
    if row.name in EQUAL_STEPS:
        sigmas = torch.linspace(3, 0.3, steps + 1, dtype=torch.float64)
    elif row.name in UNEVEN_STEPS:
        sigmas = torch.linspace(HIGH**2, LOW**2, steps + 1, dtype=torch.float64).sqrt()
    x = torch.linspace(-6, 6, 17, dtype=torch.float64)[None]
    state, intervals = SamplerState(x, x), row.plan(sigmas).intervals
    for index, (_, reached) in enumerate(intervals[: len(intervals) * 3 // 4]):
        state = next(sample(row, exact(), sigmas, Silent(), state=state, schedule=SCHEDULE, **options))
        if index < 3:
            state = replace(state, x=MIXTURE.flow(x, intervals[0][0], reached))
    return (state.x - MIXTURE.flow(x, intervals[0][0], reached)).abs().max().item()


@pytest.mark.parametrize(
    ("row", "options"), [*((row, {}) for row in DETERMINISTIC), *QUIET], ids=lambda value: getattr(value, "name", "")
)
def test_samplers_without_noise_have_their_claimed_order(row, options):
    fewest = 40 if row.order > 2 else 80
    errors = [error(row, steps, options) for steps in (fewest, 2 * fewest, 4 * fewest)]
    slopes = [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert all(abs(slope - row.order) < 0.35 for slope in slopes), (errors, slopes)
    assert errors[-1] < 0.02


def test_dpm_adaptive_errs_as_little_as_it_is_told():
    x = torch.linspace(-6, 6, 17, dtype=torch.float64)[None]
    truth, errors, calls = MIXTURE.flow(x, HIGH, LOW), [], []
    for tolerance in (1e-2, 1e-3, 1e-4):
        last = run(SAMPLERS["DPM adaptive"], [HIGH, LOW], x, Silent(), rtol=tolerance, atol=tolerance)[-1]
        errors.append((last.x - truth).abs().max().item())
        calls.append(last.calls)
    assert errors[0] < 0.02
    assert all(fine < coarse / 4 for coarse, fine in pairwise(errors)), errors
    assert calls == sorted(set(calls))


def test_lcm_keeps_the_marginal_of_a_perfect_consistency_function():
    """On N(0, s^2) that function is x * s / sqrt(s^2 + sigma^2): all levels have the right variance, in any number."""
    s, sigmas = 0.8, [HIGH, 2.0, 0.7]
    noise = Basis(8)
    start = noise.normal(0)[None] * math.sqrt(s**2 + HIGH**2)
    states = run(
        SAMPLERS["LCM"], sigmas, start, noise, lambda _: lambda x, sigma: Denoised(x * s / math.hypot(s, sigma))
    )
    for state, sigma in zip(states, sigmas[1:], strict=True):
        assert state.x.square().sum().item() == pytest.approx(s**2 + sigma**2)


@pytest.mark.parametrize("row", STOCHASTIC, ids=lambda row: row.name)
def test_stochastic_samplers_reach_the_marginal_variance(row):
    """On Gaussian data every step is linear, so the variance of the result is a sum over the draws: no Monte Carlo."""

    def missing(steps):
        noise = Basis(3 * steps + 3)
        start = noise.normal(0)[None] * math.sqrt(0.8**2 + HIGH**2)
        final = run(row, levels(steps), start, noise, exact(GAUSSIAN))[-1].x
        return abs(final.square().sum().item() / (0.8**2 + LOW**2) - 1)

    errors = [missing(steps) for steps in (50, 100, 200)]
    assert all(fine < 0.7 * coarse for coarse, fine in pairwise(errors)), errors
    assert errors[-1] < 0.02, errors


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("steps", [2, 3, 5, 12, 24, 40])
def test_calls_and_draws_are_counted(row, steps):
    asked, moments = [], []

    def denoiser_at(moment):
        moments.append(moment)

        def denoise(x, sigma):
            assert sigma > 0
            asked.append(sigma)
            return Denoised(MIXTURE.denoise(x, sigma), x)

        return denoise

    noise = Basis(130)
    sigmas = [*levels(steps - 1).tolist(), 0.0]
    states = run(row, sigmas, torch.ones(1, 130, dtype=torch.float64), noise, denoiser_at)
    assert len(asked) == states[-1].calls
    if row.calls:
        assert len(asked) == row.calls(steps)
    assert [moment.call for moment in moments] == list(range(len(asked)))
    assert all(0 <= moment.step < moment.steps == steps for moment in moments)
    assert all(before.step <= after.step for before, after in pairwise(moments))
    if row.name not in ("DPM fast", "DPM adaptive"):
        assert all(moment.step == moment.interval for moment in moments)
    assert len(noise.drawn) == len(set(noise.drawn))
    if row.noise == "normal":
        assert noise.drawn == list(range(1, states[-1].draws))
    elif row.noise == "none":
        assert noise.drawn == []


@pytest.mark.parametrize("row", [row for row in ROWS if row.calls], ids=lambda row: row.name)
def test_one_step_to_zero_is_the_denoisers_answer(row):
    x = torch.ones(1, 5, dtype=torch.float64)
    (state,) = run(row, [HIGH, 0.0], x, Silent())
    torch.testing.assert_close(state.x, MIXTURE.denoise(x, HIGH))
    assert state.calls == row.calls(1) == 1


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_no_noise_is_drawn_where_an_option_turns_it_off(row):
    x = torch.ones(1, 5, dtype=torch.float64)
    off = {name: 0.0 for name in ("eta", "tau", "gamma") if name in row.options}
    if off or not row.stochastic:
        run(row, levels(6), x, Silent(), **off)
    if "s_noise" in row.options:
        run(row, levels(6), x, Silent(), s_noise=0.0)


def test_tcd_lies_between_ddim_and_starting_again_from_x0():
    sigmas, tcd = levels(5), SAMPLERS["TCD"]
    x = torch.linspace(-6, 6, 5, dtype=torch.float64)[None]
    ddim = run(SAMPLERS["DDIM"], sigmas, x)[-1].x
    torch.testing.assert_close(run(tcd, sigmas, x, Silent(), gamma=0.0)[-1].x, ddim)
    state = run(tcd, sigmas, x, gamma=1.0)[0]
    up = math.sqrt(sigmas[1] ** 2 - SCHEDULE.sigmas[0] ** 2)
    down = state.x0 + (x - state.x0) * (SCHEDULE.sigmas[0] / HIGH)
    torch.testing.assert_close(state.x, down + Hashed().normal(1) * up)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@settings(max_examples=6, deadline=None)
@given(steps=st.sampled_from([2, 3, 7, 24]), cut=st.integers(1, 30), last=st.sampled_from([0.0, 0.05]))
def test_a_run_cut_anywhere_ends_in_the_same_bits(row, steps, cut, last):
    sigmas = [*levels(steps - 1).tolist(), last]
    whole = run(row, sigmas)
    cut = min(cut, len(whole)) - 1
    saved = whole[cut]
    again = SamplerState(
        saved.x.clone(), saved.x0.clone(), saved.index, saved.calls, saved.draws,
        {name: tensor.clone() for name, tensor in saved.memory.items()},
    )  # fmt: skip
    rest = run(row, sigmas, state=again)
    assert len(rest) == len(whole) - cut - 1
    assert all(torch.equal(a.x, b.x) and a.calls == b.calls for a, b in zip(whole[cut + 1 :], rest, strict=True))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_step_changes_nothing_it_was_given(row):
    states = run(row, levels(6))
    kept = [(state.x.clone(), {name: tensor.clone() for name, tensor in state.memory.items()}) for state in states]
    run(row, levels(6), state=states[2])
    for state, (x, memory) in zip(states, kept, strict=True):
        assert torch.equal(state.x, x)
        assert all(torch.equal(state.memory[name], tensor) for name, tensor in memory.items())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_constant_data_is_found_exactly(row):
    """Those that stop above 0 keep the noise of that level."""
    sigmas = [*levels(9).tolist(), 0.0]
    known = torch.full((1, 5), 0.7, dtype=torch.float64)
    start = known + HIGH * torch.linspace(-1, 1, 5, dtype=torch.float64)
    end = row.plan(sigmas).intervals[-1][1]
    final = run(row, sigmas, start, denoiser=lambda moment: lambda x, sigma: Denoised(known, known))[-1].x
    torch.testing.assert_close(final, known + (start - known) * end / HIGH, rtol=1e-9, atol=1e-9)


def test_cfgpp_takes_its_noise_from_the_prediction_without_prompt():
    """Equation 8 of arXiv 2406.08070 in sigma coordinates; without guidance it is DDIM."""
    x = torch.linspace(-6, 6, 5, dtype=torch.float64)[None]
    state = run(SAMPLERS["DDIM CFG++"], [HIGH, 2.0], x, denoiser=exact(uncond=True))[0]
    torch.testing.assert_close(state.x, MIXTURE.denoise(x, HIGH) + (x - MIXTURE.denoise(x + 0.1, HIGH)) * 2.0 / HIGH)


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.reads_uncond and row.name != INCONSISTENT], ids=lambda row: row.name
)
def test_without_guidance_cfgpp_is_the_sampler_it_is_named_after(row):
    sigmas, x = [*levels(6).tolist(), 0.0], torch.linspace(-6, 6, 5, dtype=torch.float64)[None]
    plain = SAMPLERS[row.name.removesuffix(" CFG++")]
    torch.testing.assert_close(run(row, sigmas, x)[-1].x, run(plain, sigmas, x)[-1].x, rtol=1e-12, atol=1e-12)


def test_comfyuis_2s_with_cfgpp_is_off_by_what_x0_changes_within_a_step():
    """Without guidance it is DPM++ 2S a but for the x0 of the beginning beside the noise of the middle: order 0."""
    x = torch.linspace(-6, 6, 5, dtype=torch.float64)[None]
    plain, other = (run(SAMPLERS[name], [HIGH, 2.0], x, Silent(), eta=0.0)[0] for name in ("DPM++ 2S a", INCONSISTENT))
    middle = math.sqrt(HIGH * 2.0)
    second = MIXTURE.denoise(plain.x0 + (x - plain.x0) * (middle / HIGH), middle)
    torch.testing.assert_close(other.x - plain.x, (plain.x0 - second) * (2.0 / HIGH))
    coarse, fine = (error(SAMPLERS[INCONSISTENT], steps, {"eta": 0.0}) for steps in (80, 320))
    assert 0.9 < coarse / fine < 1.1


def test_er_sde_without_its_noise_keeps_to_the_drift_of_its_sde():
    """On N(0, s^2) that is dx / dsigma = phi' / phi * (x - x0) with x - x0 in proportion to x: an integral."""
    points, weights = np.polynomial.legendre.leggauss(200)
    logs = (math.log(HIGH) + math.log(LOW)) / 2 + math.log(HIGH / LOW) / 2 * points
    sigma = np.exp(logs)
    rate = 1 + 0.3 * sigma**0.3 * np.exp(sigma**0.3) / (np.exp(sigma**0.3) + 10)
    truth = math.exp(-math.log(HIGH / LOW) / 2 * (weights * rate * sigma**2 / (0.8**2 + sigma**2)).sum())
    x = torch.ones(1, 1, dtype=torch.float64)
    errors = [
        abs(run(SAMPLERS["ER SDE"], levels(steps), x, Silent(), exact(GAUSSIAN), s_noise=0.0)[-1].x.item() - truth)
        for steps in (20, 40, 80)
    ]
    # Its integrals are sums over 200 points, which are first order: an error of 1e-5 here.
    assert all(1.65 < math.log2(coarse / fine) < 2.35 for coarse, fine in pairwise(errors)), errors


@pytest.mark.parametrize(("steps", "length", "times"), [(19, 0, 0), (20, 9, 1), (35, 9, 1), (36, 9, 2), (50, 12, 2)])
def test_restart_goes_again_where_a1111_does(steps, length, times):
    sigmas = SCHEDULERS["karras"](SCHEDULE, steps)
    intervals = SAMPLERS["Restart"].plan(sigmas).intervals
    assert len(intervals) == steps
    again = [k for k in range(1, steps) if intervals[k][0] > intervals[k - 1][1]]
    assert len(again) == times
    for k in again:
        loop = intervals[k : k + length]
        assert loop[0][0] == pytest.approx(2, rel=0.3)  # the nearest level of a ladder of as few as 11
        assert loop[-1][1] == pytest.approx(0.1, rel=0.3)
        assert loop[-1][1] == pytest.approx(intervals[again[0] - 1][1])
        assert all(a[1] == b[0] for a, b in pairwise(loop))
    assert intervals[0][0] == sigmas[0]
    assert intervals[-1][1] == 0


def test_rows_differ_unless_they_are_declared_the_same():
    """DDIM (eta 0) is Euler, with CFG++ too, and DDPM Euler a: they start and end elsewhere. Short Restart is Heun."""
    sigmas = [*levels(7).tolist(), 0.0]
    same = {"DDIM", "DDIM CFG++", "DDPM", "Restart"}
    ends = {row.name: run(row, sigmas, denoiser=exact(uncond=True))[-1].x for row in ROWS if row.name not in same}
    for name, x in ends.items():
        for other, y in ends.items():
            assert name >= other or (x - y).abs().max() > 1e-6, (name, other)
    x = torch.ones(1, 5, dtype=torch.float64)
    for name, other in [("DDIM", "Euler"), ("DDIM CFG++", "Euler CFG++"), ("DDPM", "Euler a"), ("Restart", "Heun")]:
        a, b = (run(SAMPLERS[row], sigmas, x, denoiser=exact(uncond=True))[-1].x for row in (name, other))
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    many = [*levels(24).tolist(), 0.0]
    assert (run(SAMPLERS["Restart"], many)[-1].x - run(SAMPLERS["Heun"], many)[-1].x).abs().max() > 1e-6
