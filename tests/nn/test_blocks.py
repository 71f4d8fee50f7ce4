import math

import torch

from calotype.nn.blocks import Downsample, Embedding, Upsample, sinusoids


def test_sinusoids_are_cosines_then_sines() -> None:
    t = [0.0, 1.0, 500.5, 999.0]
    expected = [
        [f(x * 10000 ** (-i / 4)) for f in (math.cos, math.sin) for i in range(4)]
        for x in t
    ]  # fmt: skip
    torch.testing.assert_close(sinusoids(torch.tensor(t), 8), torch.tensor(expected), rtol=0, atol=1e-4)


def test_sinusoids_keep_float32() -> None:
    """In bfloat16, 998 and 999 are one number."""
    assert sinusoids(torch.tensor([999]), 8).dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        a, b = sinusoids(torch.tensor([998, 999]), 8)
    assert (a - b).abs().max() > 0.1


def test_time_is_embedded_exactly_under_autocast() -> None:
    embedding, x = Embedding(8, 16), torch.randn(2, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = embedding(x)
    assert torch.equal(inside, embedding(x))


def test_upsample_repeats_pixels_to_the_size_asked_for() -> None:
    upsample = Upsample(1)
    torch.nn.init.dirac_(upsample.conv.weight)
    torch.nn.init.zeros_(upsample.conv.bias)
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert upsample(x)[0, 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    assert upsample(x, size=(3, 4))[0, 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4]]


def test_downsample_pads_left_right_top_bottom() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    centre = torch.zeros(1, 1, 3, 3)
    centre[..., 1, 1] = 1
    for padding, expected in (((0, 1, 0, 1), [[5, 7], [13, 15]]), ((1, 1, 1, 1), [[0, 2], [8, 10]])):
        downsample = Downsample(1, padding)
        downsample.load_state_dict({"conv.weight": centre, "conv.bias": torch.zeros(1)})
        assert downsample(x)[0, 0].tolist() == expected
