import numpy as np
import pytest

from calotype.lab.bootstrap import Estimate, estimate


def test_the_interval_is_that_of_the_mean(rng):
    values = rng.normal(3, 2, 400).tolist()
    found = estimate(values, draws=4000)
    assert found.value == pytest.approx(np.mean(values))
    assert found.high - found.low == pytest.approx(2 * 1.96 * 2 / np.sqrt(400), rel=0.1)
    assert found.low < found.value < found.high


def test_equal_values_leave_no_doubt():
    assert estimate([0.5] * 7) == Estimate(0.5, 0.5, 0.5, 7)


def test_it_is_the_same_at_every_call():
    assert estimate([0.0, 1.0, 1.0, 0.0, 1.0]) == estimate([0.0, 1.0, 1.0, 0.0, 1.0])
