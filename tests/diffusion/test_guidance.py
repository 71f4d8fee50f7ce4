import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calotype.diffusion.guidance import guided
from calotype.diffusion.parameterization import PARAMETERIZATIONS

X, CAT, NOTHING = torch.randn(3, 2, 4, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


class Network:
    def __init__(self):
        self.asked = []

    def __call__(self, x, sigma, conditions):
        self.asked.append(conditions)
        return [{"cat": CAT, "": NOTHING}[condition] for condition in conditions]


@settings(deadline=None, max_examples=25)
@given(scale=st.floats(-2, 30))
def test_guidance_extrapolates_from_the_negative_prompt(scale):
    network = Network()
    denoised = guided(network, "cat", "", scale)(X, 2.0)
    torch.testing.assert_close(denoised.x0, (1 - scale) * NOTHING + scale * CAT, rtol=1e-9, atol=1e-9)
    if scale != 1:
        assert network.asked == [["cat", ""]]
        assert denoised.uncond is NOTHING


def test_scale_one_asks_for_the_prompt_alone():
    network = Network()
    denoised = guided(network, "cat", "", 1.0, 0.7, PARAMETERIZATIONS["epsilon"])(X, 2.0)
    assert network.asked == [["cat"]]
    assert denoised.x0 is CAT
    assert denoised.uncond is None


@pytest.mark.parametrize("kind", PARAMETERIZATIONS)
def test_full_rescale_gives_the_output_the_deviation_it_had_without_guidance(kind):
    p = PARAMETERIZATIONS[kind]
    x0 = guided(Network(), "cat", "", 7.5, 1.0, p)(X, 2.0).x0
    assert torch.allclose(p.from_x0(X, 2.0, x0).std((1, 2, 3)), p.from_x0(X, 2.0, CAT).std((1, 2, 3)))


@pytest.mark.parametrize("kind", PARAMETERIZATIONS)
@settings(deadline=None, max_examples=25)
@given(phi=st.floats(0.01, 1), scale=st.floats(1.5, 15), sigma=st.floats(0.1, 100))
def test_rescale_is_that_of_diffusers(kind, phi, scale, sigma):
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

    p = PARAMETERIZATIONS[kind]
    positive, negative = p.from_x0(X, sigma, CAT), p.from_x0(X, sigma, NOTHING)
    output = rescale_noise_cfg(negative + scale * (positive - negative), positive, guidance_rescale=phi)
    x0 = guided(Network(), "cat", "", scale, phi, p)(X, sigma).x0
    torch.testing.assert_close(x0, p.to_x0(X, sigma, output), rtol=1e-8, atol=1e-8)


def test_rescale_treats_pictures_apart():
    p = PARAMETERIZATIONS["epsilon"]
    both = guided(Network(), "cat", "", 5.0, 0.7, p)(X, 2.0).x0
    alone = guided(lambda *_: [CAT[:1], NOTHING[:1]], "cat", "", 5.0, 0.7, p)(X[:1], 2.0).x0
    torch.testing.assert_close(both[:1], alone)


def test_rescale_needs_to_know_the_output():
    with pytest.raises(ValueError, match="parameterization"):
        guided(Network(), "cat", "", 5.0, 0.7)
