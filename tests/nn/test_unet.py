from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from calotype.configs import EMBEDDED, UNetConfig
from calotype.nn.unet import Added, Layer, UNet

SMALL = UNetConfig(
    channels=(8, 16, 16), layers_per_block=1, transformer_depth=(0, 1, 2), mid_depth=2, num_heads=(1, 2, 4),
    context_dim=6, linear_projection=True, norm_groups=4, added_time_dim=4, added_dim=5 + 6 * 4,
)  # fmt: skip
PLAIN = replace(SMALL, added_time_dim=None, added_dim=None, linear_projection=False, transformer_depth=(1, 1, 0))


def given(config: UNetConfig, *size: int) -> tuple[Tensor, Tensor, Tensor, Added | None]:
    added = None if config.added_dim is None else Added(torch.randn(2, 5), torch.randint(0, 999, (2, 6)).float())
    return torch.randn(2, 4, *size), torch.tensor([3.0, 981.0]), torch.randn(2, 7, config.context_dim), added


@pytest.mark.parametrize("size", [(8, 8), (9, 15), (1, 1), (5, 16)])
@pytest.mark.parametrize("config", [SMALL, PLAIN], ids=["sdxl", "sd"])
@torch.no_grad()
def test_any_size(config: UNetConfig, size: tuple[int, int]) -> None:
    assert UNet(config)(*given(config, *size)).shape == (2, 4, *size)


@torch.no_grad()
def test_a_control_joins_between_encode_and_decode() -> None:
    unet, (x, t, context, added) = UNet(SMALL), given(SMALL, 9, 15)
    time = unet.embed(t, added)
    middle, skips = unet.encode(x, time, context)
    whole = unet(x, t, context, added)
    assert torch.equal(unet.decode(middle, skips, time, context), whole)
    assert len(skips) == sum(isinstance(layer, Layer) for layer in unet.up)
    for i in range(len(skips)):
        controlled = [skip + (i == j) for j, skip in enumerate(skips)]
        assert not torch.allclose(unet.decode(middle, controlled, time, context), whole)
    assert torch.equal(unet.decode(middle, skips, time, context), whole)  # the caller's skips are still there


@pytest.mark.parametrize("config", [SMALL, PLAIN], ids=["sdxl", "sd"])
def test_every_parameter_matters(
    config: UNetConfig, unmoved: Callable[[nn.Module, Callable[[], Tensor]], list[str]]
) -> None:
    unet, arguments = UNet(config), given(config, 8, 8)
    assert unmoved(unet, lambda: unet(*arguments)) == []


@torch.no_grad()
def test_pictures_of_a_batch_do_not_mix() -> None:
    unet, (x, t, context, added) = UNet(SMALL).double(), given(SMALL, 8, 8)
    assert added is not None
    x, context = x.double(), context.double()
    both = unet(x, t, context, Added(added.pooled.double(), added.micro_conditions))
    alone = unet(x[1:], t[1:], context[1:], Added(added.pooled[1:].double(), added.micro_conditions[1:]))
    torch.testing.assert_close(both[1:], alone)


@torch.no_grad()
def test_a_fresh_network_predicts_nothing() -> None:
    unet = UNet(EMBEDDED.unet)
    unet.init_weights()
    x = torch.randn(1, 4, 8, 8)
    assert unet(x, torch.tensor([5.0]), torch.randn(1, 7, 256)).count_nonzero() == 0


@torch.no_grad()
def test_a_fresh_network_hears_the_text() -> None:
    """Another text changes what comes before the head by a good part: behind zeroed branches it changed nothing."""
    unet, before_head = UNet(EMBEDDED.unet), []
    unet.init_weights()
    unet.head.register_forward_pre_hook(lambda _, inputs: before_head.append(inputs[0]))
    x, t = torch.randn(1, 4, 16, 16), torch.tensor([700.0])
    for _ in range(2):
        unet(x, t, torch.randn(1, 1, 256).expand(-1, 77, -1))
    one, other = before_head
    assert (other - one).norm() / one.norm() > 0.2


def test_a_fresh_network_learns_everywhere_within_a_few_steps() -> None:
    """The zeros of the head let the gradient reach all parameters after a step."""
    unet, arguments = UNet(PLAIN), given(PLAIN, 8, 8)
    unet.init_weights()
    optimizer = torch.optim.SGD(unet.parameters(), lr=0.1)
    for _ in range(4):
        optimizer.zero_grad()
        (unet(*arguments) - 1).square().mean().backward()
        optimizer.step()
    assert [name for name, p in unet.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_trains_under_autocast_and_runs_in_bfloat16() -> None:
    unet, (x, t, context, _) = UNet(PLAIN), given(PLAIN, 9, 15)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = unet(x, t, context)
    output.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in unet.parameters())
    with torch.no_grad():
        exact = unet(x, t, context)
        half = unet.bfloat16()(x.bfloat16(), t, context.bfloat16())
    assert half.dtype == torch.bfloat16
    assert (half.float() - exact).norm() < 0.05 * exact.norm()


@torch.no_grad()
def test_what_sdxl_must_be_told_cannot_be_left_out() -> None:
    x, t, context, _ = given(SMALL, 8, 8)
    with pytest.raises(AssertionError, match="told sizes"):
        UNet(SMALL)(x, t, context)
