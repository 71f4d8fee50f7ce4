"""Philox against Random123's known answers, against a GPU's own figures, and against the normal distribution."""

import numpy as np
import pytest
import torch

from calotype.diffusion.philox import philox, randn


def words(text: str) -> np.ndarray:
    return np.array([[int(word, 16)] for word in text.split()], np.uint32)


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ("00000000 " * 4, "00000000 " * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff " * 4, "ffffffff " * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_the_known_answers_of_random123(counter: str, key: str, answer: str) -> None:
    assert (philox(words(counter), words(key)) == words(answer)).all()


def test_the_numbers_of_a_gpu_seeded_with_0() -> None:
    """What torch.randn(8, device="cuda") prints after torch.manual_seed(0)."""
    printed = torch.tensor([-0.9247, -0.4253, -2.6438, 0.1452, -0.1209, -0.5797, -0.6229, -0.3284])
    torch.testing.assert_close(randn(0, 0, (8,)), printed, rtol=0, atol=5.1e-5)


def test_shape_and_place_do_not_change_a_number() -> None:
    flat = randn(7, 3, (64,))
    assert torch.equal(randn(7, 3, (1, 4, 4, 4)).flatten(), flat)
    assert torch.equal(randn(7, 3, (16,)), flat[:16])


def test_seeds_of_64_bits_and_draws_differ() -> None:
    rows = torch.stack([randn(seed, draw, (64,)) for seed, draw in [(1, 0), (1, 1), (2**32 + 1, 0), (2**64 - 1, 0)]])
    assert torch.pdist(rows).min() > 5


def test_moments_and_independence() -> None:
    """60,000 numbers a draw: five deviations of the mean, the variance, skewness, kurtosis and correlation."""
    rows = torch.stack([randn(5, 0, (60_000,)), randn(5, 1, (60_000,)), randn(6, 0, (60_000,))]).double()
    moments = torch.stack([rows.pow(k).mean(1) for k in (1, 2, 3, 4)])
    expected = torch.tensor([[0.0], [1.0], [0.0], [3.0]]).double()
    deviation = torch.tensor([[1.0], [2.0], [15.0], [96.0]]).double().sqrt() / 60_000**0.5
    assert ((moments - expected).abs() < 5 * deviation).all()
    assert (torch.corrcoef(rows) - torch.eye(3)).abs().max() < 0.0205
