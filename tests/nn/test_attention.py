import pytest
import torch

from calotype.nn.attention import Attention, SpatialTransformer, attend


def by_hand(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool) -> torch.Tensor:
    """The formula, one query at a time, in float64."""
    q, k, v = q.double(), k.double(), v.double()
    rows = []
    for i in range(q.shape[2]):
        seen = i + 1 if causal else k.shape[2]
        weights = torch.exp((k[:, :, :seen] * q[:, :, i : i + 1]).sum(-1) / q.shape[-1] ** 0.5)
        rows.append((weights[..., None] * v[:, :, :seen]).sum(2) / weights.sum(-1)[..., None])
    return torch.stack(rows, dim=2)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("grad", [False, True])
def test_attend_is_the_formula(causal: bool, grad: bool) -> None:
    q, k, v = torch.randn(3, 2, 4, 6, 8)
    with torch.set_grad_enabled(grad):
        torch.testing.assert_close(attend(q, k, v, causal=causal).double(), by_hand(q, k, v, causal), rtol=0, atol=1e-6)


def test_attend_takes_contexts_of_other_lengths() -> None:
    q, k, v = torch.randn(2, 4, 6, 8), torch.randn(2, 4, 3, 8), torch.randn(2, 4, 3, 8)
    for grad in (False, True):
        with torch.set_grad_enabled(grad):
            torch.testing.assert_close(attend(q, k, v).double(), by_hand(q, k, v, False), rtol=0, atol=1e-6)


def test_each_site_has_its_own_attend() -> None:
    transformer = SpatialTransformer(8, 2, 2, 6, linear=False, norm_groups=2, norm_eps=1e-6)
    sites = [module for module in transformer.modules() if isinstance(module, Attention)]
    seen: list[tuple[int, ...]] = []

    def watched(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool = False) -> torch.Tensor:
        seen.append(tuple(k.shape))
        return attend(q, k, v, causal)

    x, context = torch.randn(1, 8, 3, 5), torch.randn(1, 7, 6)
    before = transformer(x, context)
    sites[1].attend = watched
    assert torch.equal(transformer(x, context), before)
    assert seen == [(1, 2, 7, 4)]
