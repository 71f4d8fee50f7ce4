"""Every row of the registry against data whose exact denoiser, flow and marginals are known. All in float64."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calotype.diffusion.driver import sample
from calotype.diffusion.mixture import GaussianMixture
from calotype.diffusion.samplers import SAMPLERS, Denoised
from calotype.diffusion.samplers.state import SamplerState

ROWS = list(SAMPLERS.values())
DETERMINISTIC = [row for row in ROWS if not row.stochastic]
STOCHASTIC = [row for row in ROWS if row.stochastic]
MIXTURE = GaussianMixture()
HIGH, LOW = 6.0, 0.3


def exact(data=MIXTURE):
    def denoise(x, sigma):
        return Denoised(data.denoise(x, sigma), data.denoise(x + 0.1, sigma))

    return lambda moment: denoise


def levels(steps, high=HIGH, low=LOW):
    return torch.linspace(math.log(high), math.log(low), steps + 1, dtype=torch.float64).exp()


class Basis:
    """Noise whose draws are the axes: a linear run then shows how much of each draw is in the result."""

    def __init__(self, size):
        self.size, self.drawn = size, []

    def normal(self, draw):
        self.drawn.append(draw)
        return torch.eye(self.size, dtype=torch.float64)[draw]

    def brownian(self, a, b):
        self.drawn.append((a, b))
        return torch.eye(self.size, dtype=torch.float64)[len(self.drawn)]


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
    return list(sample(row, denoiser or exact(), sigmas, noise or Hashed(), x=x, state=state, **options))


def error(row, steps):
    sigmas = levels(steps)
    x = torch.linspace(-8, 8, 17, dtype=torch.float64)[None]
    return (run(row, sigmas, x, Silent())[-1].x - MIXTURE.flow(x, HIGH, LOW)).abs().max().item()


@pytest.mark.parametrize("row", DETERMINISTIC, ids=lambda row: row.name)
def test_deterministic_samplers_have_their_claimed_order(row):
    errors = [error(row, steps) for steps in (64, 128, 256)]
    slopes = [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert all(abs(slope - row.order) < 0.3 for slope in slopes), (errors, slopes)
    assert errors[-1] < 0.02


@pytest.mark.parametrize("row", STOCHASTIC, ids=lambda row: row.name)
def test_stochastic_samplers_reach_the_marginal_variance(row):
    """On Gaussian data every step is linear, so the variance of the result is a sum over the draws: no Monte Carlo."""
    data = GaussianMixture((0.0,), (0.8,), (1.0,))

    def missing(steps):
        noise = Basis(2 * steps + 2)
        start = noise.normal(0)[None] * math.sqrt(0.8**2 + HIGH**2)
        final = run(row, levels(steps), start, noise, exact(data))[-1].x
        return abs(final.square().sum().item() / (0.8**2 + LOW**2) - 1)

    errors = [missing(steps) for steps in (25, 50, 100, 200)]
    assert all(fine < 0.7 * coarse for coarse, fine in pairwise(errors)), errors
    assert errors[-1] < 0.02, errors


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("steps", [1, 2, 5, 12])
def test_calls_and_draws_are_counted(row, steps):
    asked, moments = [], []

    def denoiser_at(moment):
        moments.append(moment)

        def denoise(x, sigma):
            assert sigma > 0
            asked.append(sigma)
            return Denoised(MIXTURE.denoise(x, sigma), x)

        return denoise

    noise = Basis(64)
    sigmas = [*levels(steps - 1).tolist(), 0.0] if steps > 1 else [HIGH, 0.0]
    states = run(row, sigmas, torch.ones(1, 64, dtype=torch.float64), noise, denoiser_at)
    assert len(asked) == states[-1].calls == row.calls(steps)
    assert [moment.call for moment in moments] == list(range(len(asked)))
    assert all(0 <= moment.step < moment.steps for moment in moments)
    assert len(noise.drawn) == len(set(noise.drawn))
    if row.noise == "normal":
        assert noise.drawn == list(range(1, states[-1].draws))
    elif row.noise == "none":
        assert noise.drawn == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_no_noise_is_drawn_for_the_step_to_zero(row):
    assert run(row, [HIGH, 0.0], torch.ones(1, 5, dtype=torch.float64), Silent())[-1].x.isfinite().all()


@pytest.mark.parametrize("row", [row for row in ROWS if "eta" in row.options], ids=lambda row: row.name)
def test_without_eta_no_noise_is_drawn(row):
    run(row, levels(6), torch.ones(1, 5, dtype=torch.float64), Silent(), eta=0.0)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@settings(max_examples=8, deadline=None)
@given(steps=st.integers(2, 12), cut=st.integers(1, 11), last=st.sampled_from([0.0, 0.05]))
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
    final = run(
        row, [*levels(9).tolist(), 0.0], denoiser=lambda moment: lambda x, sigma: Denoised(x * 0 + 0.7, x * 0 + 0.7)
    )
    assert torch.allclose(final[-1].x, torch.full_like(final[-1].x, 0.7), atol=1e-12)


def test_rows_differ_unless_their_steps_are_the_same():
    """DDIM with eta 0 is Euler in sigma coordinates; it is a row of its own because it starts and ends elsewhere."""
    sigmas = [*levels(7).tolist(), 0.0]
    ends = {row.name: run(row, sigmas)[-1].x for row in ROWS if row.name != "DDIM"}
    for name, x in ends.items():
        for other, y in ends.items():
            assert name >= other or (x - y).abs().max() > 1e-6, (name, other)
