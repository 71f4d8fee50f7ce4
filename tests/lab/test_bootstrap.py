import numpy as np
import pytest

from calotype.lab.bootstrap import Estimate, estimate, share, share_of


def test_the_interval_is_that_of_the_mean(rng):
    values = rng.normal(3, 2, 400).tolist()
    found = estimate(values)
    assert found.value == pytest.approx(np.mean(values))
    assert found.high - found.low == pytest.approx(2 * 1.96 * 2 / np.sqrt(400), rel=0.1)
    assert found.low < found.value < found.high


def test_equal_values_leave_no_doubt():
    assert estimate([0.5] * 7) == Estimate(0.5, 0.5, 0.5, 7)


def test_it_is_the_same_at_every_call():
    assert estimate([0.0, 1.0, 1.0, 0.0, 1.0]) == estimate([0.0, 1.0, 1.0, 0.0, 1.0])


def test_a_share_of_all_or_none_is_no_certainty():
    """R's prop.test(50, 50, correct = FALSE) says 0.9287 to 1."""
    assert (share([1.0] * 50).low, share([1.0] * 50).high) == (pytest.approx(0.92865, abs=1e-5), 1)
    assert (share([0.0] * 50).low, share([0.0] * 50).high) == (0, pytest.approx(0.07135, abs=1e-5))
    assert share([0.0, 1.0, 1.0]) == estimate([0.0, 1.0, 1.0])


def test_a_share_of_some_is_over_those():
    found = share_of([1.0, 0.0, 1.0, 0.0], [1.0, 0.0, 1.0, 0.0])
    assert found == share([1.0, 1.0])
    assert share_of([0.0], [0.0]) is None
