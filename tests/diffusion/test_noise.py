import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calotype.diffusion.noise import SeededNoise

SHAPE = (1, 4, 5, 3)
levels = st.floats(2**-12, 8192.0)


def reference(seed, draws):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(SHAPE, generator=generator) for _ in range(draws)]


def test_draws_are_those_of_torchs_generator():
    noise = SeededNoise(42, SHAPE)
    assert all(torch.equal(noise.normal(k), draw) for k, draw in enumerate(reference(42, 5)))


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), questions=st.lists(st.integers(0, 6), min_size=1, max_size=6))
def test_a_draw_does_not_depend_on_the_questions_before(seed, questions):
    noise, draws = SeededNoise(seed, SHAPE), reference(seed, 7)
    assert all(torch.equal(noise.normal(k), draws[k]) for k in questions)


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    noise = SeededNoise(1, SHAPE)
    noise.normal(3), noise.brownian(1.0, 2.0)
    assert torch.equal(before, torch.get_rng_state())


def test_the_default_dtype_does_not_matter():
    expected = SeededNoise(1, SHAPE).normal(1), SeededNoise(1, SHAPE).brownian(1.0, 2.0)
    torch.set_default_dtype(torch.float64)
    try:
        noise = SeededNoise(1, SHAPE)
        assert torch.equal(noise.normal(1), expected[0])
        assert torch.equal(noise.brownian(1.0, 2.0), expected[1])
    finally:
        torch.set_default_dtype(torch.float32)


def test_dtype_is_converted_not_drawn():
    assert torch.equal(SeededNoise(1, SHAPE, dtype=torch.float64).normal(0), SeededNoise(1, SHAPE).normal(0).double())


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**63), a=levels, b=levels, c=levels)
def test_brownian_increments_add_up(seed, a, b, c):
    noise = SeededNoise(seed, SHAPE, dtype=torch.float64)

    def increment(low, high):
        return (
            noise.brownian(low, high) * math.sqrt(abs(high - low))
            if low != high
            else torch.zeros(SHAPE, dtype=torch.float64)
        )

    torch.testing.assert_close(increment(a, c), increment(a, b) + increment(b, c), rtol=1e-9, atol=1e-9)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**63), a=levels, b=levels, others=st.lists(st.tuples(levels, levels), max_size=3))
def test_brownian_is_a_function_of_the_seed_alone(seed, a, b, others):
    if a == b:
        return
    noise = SeededNoise(seed, SHAPE)
    for low, high in others:
        if low != high:
            noise.brownian(low, high)
    assert torch.equal(noise.brownian(a, b), SeededNoise(seed, SHAPE).brownian(a, b))
    assert torch.equal(noise.brownian(a, b), -noise.brownian(b, a))


@pytest.mark.parametrize(("a", "b"), [(14.6, 11.3), (0.05, 0.0292), (4096.0, 245.0), (1.0, 1.002), (2.0, 1.99)])
def test_brownian_increments_have_unit_variance(a, b):
    """60,000 values: the mean's deviation is 0.004, the variance's 0.006; five of them are allowed."""
    increment = SeededNoise(7, (1, 60_000)).brownian(a, b)
    assert abs(increment.mean().item()) < 0.02
    assert abs(increment.var().item() - 1) < 0.03


def test_a_rounding_error_in_a_level_stays_one_in_the_noise():
    noise, level = SeededNoise(7, (1000,)), 1.2345678
    nudged = noise.brownian(14.6, level * (1 + 1e-15))
    torch.testing.assert_close(noise.brownian(14.6, level), nudged, rtol=0, atol=1e-6)


@pytest.mark.parametrize("level", [0.0, -1.0, 1e-5, 1e5, math.nan])
def test_brownian_noise_has_bounds(level):
    with pytest.raises(ValueError, match="between sigma"):
        SeededNoise(7, SHAPE).brownian(1.0, level)


def test_neighbouring_increments_are_independent():
    noise = SeededNoise(7, (60_000,))
    rows = torch.stack([noise.brownian(a, b) for a, b in [(14.6, 9.0), (9.0, 5.0), (5.0, 4.9), (4.9, 0.03)]])
    assert (torch.corrcoef(rows) - torch.eye(4)).abs().max() < 0.02


def test_seeds_differ():
    one, two = SeededNoise(1, (1, 1000)), SeededNoise(2, (1, 1000))
    assert (one.normal(0) - two.normal(0)).abs().max() > 1
    assert (one.brownian(1, 2) - two.brownian(1, 2)).abs().max() > 1
