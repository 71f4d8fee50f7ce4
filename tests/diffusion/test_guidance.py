import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calotype.diffusion.guidance import classifier_free, guided, mimicking, rescaled, thresholded, towards_picture
from calotype.diffusion.parameterization import PARAMETERIZATIONS

X, CAT, DOG, NOTHING = torch.randn(4, 2, 4, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

P = PARAMETERIZATIONS


class Network:
    def __init__(self):
        self.asked = []

    def __call__(self, x, sigma, conditions):
        self.asked.append(conditions)
        return [{"cat": CAT, "dog": DOG, "": NOTHING}[condition] for condition in conditions]


def _guided(scale, rescale=0.0, kind="epsilon", network=None):
    guide = classifier_free(scale)
    return guided(network or Network(), [("cat", 1)], "", rescaled(guide, rescale, P[kind]) if rescale else guide)


@settings(deadline=None, max_examples=25)
@given(scale=st.floats(-2, 30))
def test_guidance_extrapolates_from_the_negative_prompt(scale):
    network = Network()
    denoised = _guided(scale, network=network)(X, 2.0)
    torch.testing.assert_close(denoised.x0, (1 - scale) * NOTHING + scale * CAT, rtol=1e-9, atol=1e-9)
    assert network.asked == [["cat", ""]]
    assert denoised.uncond is NOTHING


def test_without_a_guide_the_prompt_alone_is_asked_for():
    network = Network()
    denoised = guided(network, [("cat", 1)], "", None)(X, 2.0)
    assert network.asked == [["cat"]]
    assert denoised.x0 is CAT
    assert denoised.uncond is None


@settings(deadline=None, max_examples=25)
@given(a=st.floats(-2, 2), b=st.floats(-2, 2), scale=st.floats(0, 15))
def test_parts_are_composed_by_weight(a, b, scale):
    denoised = guided(Network(), [("cat", a), ("dog", b)], "", classifier_free(scale))(X, 2.0)
    expected = NOTHING + a * scale * (CAT - NOTHING) + b * scale * (DOG - NOTHING)
    torch.testing.assert_close(denoised.x0, expected, rtol=1e-9, atol=1e-9)
    at_one = guided(Network(), [("cat", a), ("dog", b)], "", None)(X, 2.0)
    torch.testing.assert_close(at_one.x0, NOTHING + a * (CAT - NOTHING) + b * (DOG - NOTHING), rtol=1e-9, atol=1e-9)
    assert at_one.uncond is None


@pytest.mark.parametrize("kind", PARAMETERIZATIONS)
def test_full_rescale_gives_the_output_the_deviation_it_had_without_guidance(kind):
    p = P[kind]
    x0 = _guided(7.5, 1.0, kind)(X, 2.0).x0
    assert torch.allclose(p.from_x0(X, 2.0, x0).std((1, 2, 3)), p.from_x0(X, 2.0, CAT).std((1, 2, 3)))


@pytest.mark.parametrize("kind", PARAMETERIZATIONS)
@settings(deadline=None, max_examples=25)
@given(phi=st.floats(0.01, 1), scale=st.floats(1.5, 15), sigma=st.floats(0.1, 100))
def test_rescale_is_that_of_diffusers(kind, phi, scale, sigma):
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

    p = P[kind]
    positive, negative = p.from_x0(X, sigma, CAT), p.from_x0(X, sigma, NOTHING)
    output = rescale_noise_cfg(negative + scale * (positive - negative), positive, guidance_rescale=phi)
    x0 = _guided(scale, phi, kind)(X, sigma).x0
    torch.testing.assert_close(x0, p.to_x0(X, sigma, output), rtol=1e-8, atol=1e-8)


def test_rescale_treats_pictures_apart():
    both = _guided(5.0, 0.7)(X, 2.0).x0
    alone = _guided(5.0, 0.7, network=lambda *_: [CAT[:1], NOTHING[:1]])(X[:1], 2.0).x0
    torch.testing.assert_close(both[:1], alone)


@settings(deadline=None, max_examples=25)
@given(percentile=st.floats(0.5, 1), scale=st.floats(1, 15))
def test_thresholding_is_that_of_diffusers(percentile, scale):
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(thresholding=True, dynamic_thresholding_ratio=percentile, sample_max_value=1e9)
    x0 = guided(Network(), [("cat", 1)], "", thresholded(classifier_free(scale), percentile))(X, 2.0).x0
    expected = scheduler._threshold_sample(NOTHING + scale * (CAT - NOTHING))
    torch.testing.assert_close(x0, expected, rtol=1e-6, atol=1e-6)


def _loudness(x0):
    centred = x0 - x0.mean((2, 3), keepdim=True)
    return centred.abs().amax((2, 3))


@pytest.mark.parametrize("percentile", [0.9, 1.0])
def test_mimicking_keeps_the_mean_and_the_loudness_of_the_quiet_guide(percentile):
    guide = mimicking(classifier_free(20), classifier_free(3), percentile)
    x0 = guided(Network(), [("cat", 1)], "", guide)(X, 2.0).x0
    loud, quiet = NOTHING + 20 * (CAT - NOTHING), NOTHING + 3 * (CAT - NOTHING)
    if percentile == 1:
        torch.testing.assert_close(x0.mean((2, 3)), loud.mean((2, 3)))
        torch.testing.assert_close(_loudness(x0), _loudness(quiet))
    bound = x0 - loud.mean((2, 3), keepdim=True)
    torch.testing.assert_close(bound.abs().amax((2, 3)), _loudness(quiet))


def test_mimicking_a_louder_guide_changes_nothing_when_it_is_the_same():
    guide = mimicking(classifier_free(3), classifier_free(3), 1.0)
    torch.testing.assert_close(guide(X, 2.0, CAT, NOTHING), classifier_free(3)(X, 2.0, CAT, NOTHING))


@settings(deadline=None, max_examples=25)
@given(scale=st.floats(1, 15), picture_scale=st.floats(0, 5))
def test_editing_has_two_scales(scale, picture_scale):
    """Equation 3 of arXiv 2211.09800: "" shows the picture, "dog" stands for nothing at all."""
    network = Network()
    denoise = towards_picture(_guided(scale, network=network), network, "dog", picture_scale)
    expected = DOG + picture_scale * (NOTHING - DOG) + scale * (CAT - NOTHING)
    torch.testing.assert_close(denoise(X, 2.0).x0, expected, rtol=1e-9, atol=1e-9)


def test_editing_needs_a_guide():
    with pytest.raises(ValueError, match="guide"):
        towards_picture(guided(Network(), [("cat", 1)], "", None), Network(), "dog", 2)(X, 2.0)
