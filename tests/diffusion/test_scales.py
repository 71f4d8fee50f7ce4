import pytest

from calotype.diffusion.driver import Moment
from calotype.diffusion.scales import along, inside


def _over(scale_at, steps=5):
    return [scale_at(Moment(step, step, steps, step)) for step in range(steps)]


def test_straight_lines_through_the_points():
    assert _over(along([(0, 7), (1, 3)])) == [7, 6, 5, 4, 3]
    assert _over(along([(1, 3), (0.5, 7)])) == [7, 7, 7, 5, 3]
    assert _over(along([(0.25, 2)])) == [2] * 5
    assert _over(along([(0, 7), (1, 3)]), 1) == [7]


@pytest.mark.parametrize(("start", "end"), [(0, 1), (0.2, 0.8), (0.5, 0.5), (0.33, 0.9)])
def test_the_interval_is_that_of_diffusers(start, end):
    from diffusers.guiders import ClassifierFreeGuidance

    guider = ClassifierFreeGuidance(guidance_scale=7, start=start, stop=end)
    expected = []
    for step in range(10):
        guider.set_state(step=step, num_inference_steps=10, timestep=None)
        expected.append(guider._is_cfg_enabled())
    assert _over(lambda moment: inside(moment, start, end), 10) == expected


@pytest.mark.parametrize(("share", "steps", "whole"), [(0.58, 50, 29), (0.29, 100, 29), (0.57, 100, 57), (0.7, 10, 7)])
def test_the_interval_loses_no_step_to_rounding(share, steps, whole):
    assert sum(_over(lambda moment: inside(moment, 0, share), steps)) == whole
    assert sum(_over(lambda moment: inside(moment, share, 1), steps)) == steps - whole
