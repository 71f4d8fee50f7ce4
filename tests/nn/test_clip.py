from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from calotype.configs import ImageConfig, TextConfig
from calotype.nn.clip import ImageEncoder, TextEncoder

SMALL = TextConfig(vocab_size=50, hidden_size=16, intermediate_size=24, num_layers=3, num_heads=2, max_positions=12)
END = SMALL.vocab_size - 1


@torch.no_grad()
def test_later_tokens_are_not_seen() -> None:
    encoder = TextEncoder(SMALL)
    tokens = torch.randint(0, END, (1, 12))
    changed = tokens.clone()
    changed[:, 7] = (changed[:, 7] + 1) % END
    a, b = encoder(tokens).context, encoder(changed).context
    assert torch.equal(a[:, :7], b[:, :7])
    assert not torch.isclose(a[:, 7:], b[:, 7:]).all(dim=-1).any()


@torch.no_grad()
def test_pooled_is_the_first_end_of_text_of_the_last_layer() -> None:
    encoder = TextEncoder(replace(SMALL, skip=1, final_norm=False))
    tokens = torch.randint(0, END, (2, 12))
    tokens[0, 4:], tokens[1, 9] = END, END
    pooled, last = encoder(tokens).pooled, encoder.norm(encoder(tokens, skip=0).context)
    assert torch.equal(pooled, torch.stack([last[0, 4], last[1, 9]]))


@torch.no_grad()
def test_skip_leaves_layers_out() -> None:
    encoder, shorter = TextEncoder(SMALL), TextEncoder(replace(SMALL, num_layers=2))
    shorter.load_state_dict({key: tensor for key, tensor in encoder.state_dict().items() if "layers.2." not in key})
    tokens = torch.randint(0, END, (2, 12))
    assert torch.equal(encoder(tokens, skip=1).context, shorter(tokens).context)
    assert torch.equal(
        encoder(tokens[:, :5], skip=3).context, encoder.norm(encoder.tokens(tokens) + encoder.positions.weight)[:, :5]
    )


@pytest.mark.parametrize("activation", ["gelu", "quick_gelu"])
def test_every_parameter_matters(
    activation: str, unmoved: Callable[[nn.Module, Callable[[], Tensor]], list[str]]
) -> None:
    encoder = TextEncoder(replace(SMALL, activation=activation, projection_dim=8))
    tokens = torch.randint(0, END, (2, 12))
    tokens[:, 6] = END
    still = unmoved(encoder, lambda: torch.cat([x.flatten() for x in vars(encoder(tokens)).values()]))
    # A key's bias is common to all keys: softmax forgets it.
    assert still == [f"layers.{i}.self_attention.key.bias" for i in range(3)]


@torch.no_grad()
def test_fresh_weights_keep_the_scale() -> None:
    encoder = TextEncoder(replace(SMALL, hidden_size=256, intermediate_size=1024, num_layers=12))
    encoder.init_weights()
    states = [encoder(torch.randint(0, END, (4, 12)), skip).context for skip in (0, 12)]
    assert all(0.9 < state.std() < 1.1 for state in states)
    assert encoder.tokens.weight.std() < 0.03


@pytest.mark.parametrize("size", [32, 56, 128])
@torch.no_grad()
def test_image_encoder_takes_any_size(size: int) -> None:
    assert ImageEncoder(ImageConfig())(torch.randn(2, 3, size, size)).shape == (2, 256)


@torch.no_grad()
def test_image_encoder_tells_left_from_right() -> None:
    encoder, image = ImageEncoder(ImageConfig()), torch.randn(1, 3, 64, 64)
    assert not torch.isclose(encoder(image), encoder(image.flip(3))).all()


def test_every_parameter_of_the_image_encoder_matters(
    unmoved: Callable[[nn.Module, Callable[[], Tensor]], list[str]],
) -> None:
    encoder, image = ImageEncoder(ImageConfig(channels=(16, 32), projection_dim=8)), torch.randn(2, 3, 32, 32)
    assert unmoved(encoder, lambda: encoder(image)) == []
