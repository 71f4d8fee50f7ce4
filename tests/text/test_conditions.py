import pytest
import torch
from torch import Tensor

from calotype.configs import TextConfig
from calotype.errors import CalotypeError
from calotype.nn.clip import TextEncoder
from calotype.text.conditions import encode_prompts
from calotype.text.language import language_of
from calotype.text.tokenizer import END, START, Tokenizer


def _encoder(tokenizer: Tokenizer, width: int, seed: int, **settings: object) -> TextEncoder:
    torch.manual_seed(seed)
    size = tokenizer.end + 1
    return TextEncoder(
        TextConfig(vocab_size=size, hidden_size=width, intermediate_size=32, num_layers=3, num_heads=2, **settings)  # type: ignore[arg-type]
    ).eval()


@pytest.fixture
def encoder(tokenizer: Tokenizer) -> TextEncoder:
    return _encoder(tokenizer, 16, seed=0)


def _alone(encoder: TextEncoder, row: Tensor) -> Tensor:
    with torch.inference_mode():
        return encoder(row[None]).context


@torch.inference_mode()
def test_chunks_are_encoded_apart_and_follow_each_other(tokenizer: Tokenizer, encoder: TextEncoder) -> None:
    long = "red cat " * 60
    positive, negative = encode_prompts([long, "apple"], [tokenizer], [encoder])
    assert positive.context.shape == negative.context.shape == (1, 2 * 77, 16)
    for number, row in enumerate(tokenizer.encode(long)):
        assert torch.allclose(positive.context[:, 77 * number : 77 * (number + 1)], _alone(encoder, row), atol=1e-6)
    assert torch.allclose(negative.context[:, 77:], _alone(encoder, tokenizer.encode("")[0]), atol=1e-6)
    assert torch.allclose(positive.pooled, encoder(tokenizer.encode(long)[:1]).pooled, atol=1e-6)


@torch.inference_mode()
def test_two_encoders_stand_side_by_side_and_the_second_pools(tokenizer: Tokenizer, encoder: TextEncoder) -> None:
    second = _encoder(tokenizer, 32, seed=1, projection_dim=8)
    (conditions,) = encode_prompts(["a red cat"], [tokenizer, tokenizer], [encoder, second])
    rows = tokenizer.encode("a red cat")
    assert conditions.context.equal(torch.cat([encoder(rows).context, second(rows).context], dim=-1))
    assert conditions.pooled.equal(second(rows).pooled)


@torch.inference_mode()
def test_two_encoders_read_the_same_words_whatever_fills_their_rows(
    vocab: dict[str, int], merges: list[tuple[str, str]]
) -> None:
    """SDXL's second one fills its rows with "!": read as padding, three of them would begin a chunk of their own."""
    words = [*(token for token in vocab if token not in (START, END)), "!!", "!!!</w>", START, END]
    numbers = {token: number for number, token in enumerate(words)}
    tokenizers = [Tokenizer.of(numbers, [*merges, ("!", "!"), ("!!", "!</w>")], pad) for pad in (END, "!")]
    encoders = [_encoder(tokenizer, 16, seed) for seed, tokenizer in enumerate(tokenizers)]
    (conditions,) = encode_prompts(["cat " * 74 + "!!!"], tokenizers, encoders)
    assert conditions.context.shape == (1, 77, 2 * 16)


@torch.inference_mode()
def test_clip_skip_leaves_out_layers_beyond_the_configured_ones(tokenizer: Tokenizer) -> None:
    encoder = _encoder(tokenizer, 16, seed=0, skip=1)
    rows = tokenizer.encode("a red cat")
    for clip_skip, layers in [(1, 1), (2, 2), (3, 3)]:
        (conditions,) = encode_prompts(["a red cat"], [tokenizer], [encoder], clip_skip)
        assert conditions.context.equal(encoder(rows, skip=layers).context)
    with pytest.raises(CalotypeError, match="3 layers: choose less"):
        encode_prompts(["a"], [tokenizer], [encoder], 4)


@torch.inference_mode()
def test_a_weight_multiplies_the_vectors_of_its_words(tokenizer: Tokenizer, encoder: TextEncoder) -> None:
    def context(prompt: str, style: str, emphasis: str) -> Tensor:
        return encode_prompts([prompt], [tokenizer], [encoder], language=language_of(style, emphasis))[0].context[0]

    plain = context("a red cat", "a1111", "Original")
    no_norm = context("a (red:1.5) cat", "a1111", "No norm")
    factors = torch.ones(77, 1)
    factors[2] = 1.5
    torch.testing.assert_close(no_norm, plain * factors)
    original = context("a (red:1.5) cat", "a1111", "Original")
    torch.testing.assert_close(original, no_norm * (plain.mean() / no_norm.mean()))
    assert context("a (red:1.5) cat", "a1111", "Ignore").equal(plain)
    assert context("a (red:1.5) cat", "a1111", "None").equal(encoder(tokenizer.encode("a (red:1.5) cat")).context[0])
    empty = encoder(tokenizer.encode("")).context[0]
    torch.testing.assert_close(context("a (red:1.5) cat", "comfyui", "Original"), empty + (plain - empty) * factors)


@torch.inference_mode()
@pytest.mark.parametrize("weight", [1.003, 1.05])
def test_a_network_in_half_precision_is_weighed_in_float32(
    weight: float, tokenizer: Tokenizer, encoder: TextEncoder
) -> None:
    """Rounded once, at the end: bfloat16 has neither of the weights, and would round the two means apart."""
    encoder = encoder.bfloat16()

    def context(prompt: str, style: str, emphasis: str) -> Tensor:
        return encode_prompts([prompt], [tokenizer], [encoder], language=language_of(style, emphasis))[0].context[0]

    plain, empty = (context(prompt, "a1111", "Ignore").float() for prompt in ("a red cat", ""))
    factors = torch.ones(77, 1)
    factors[2] = weight
    no_norm, prompt = plain * factors, f"a (red:{weight}) cat"
    assert context(prompt, "a1111", "No norm").equal(no_norm.bfloat16())
    assert context(prompt, "a1111", "Original").equal((no_norm * (plain.mean() / no_norm.mean())).bfloat16())
    assert context(prompt, "comfyui", "Original").equal((empty + (plain - empty) * factors).bfloat16())


@torch.inference_mode()
def test_texts_that_take_turns_keep_one_mean(tokenizer: Tokenizer, encoder: TextEncoder) -> None:
    """A1111 encodes a schedule's texts in one batch, and restores the batch's mean."""
    plain = torch.cat([each.context for each in encode_prompts(["a red cat", "apple"], [tokenizer], [encoder])])
    both = torch.cat([each.context for each in encode_prompts(["a (red:1.5) cat", "apple"], [tokenizer], [encoder])])
    weighted = plain.clone()
    weighted[0, 2] *= 1.5
    torch.testing.assert_close(both, weighted * (plain.mean() / weighted.mean()))


@torch.inference_mode()
def test_break_makes_chunks_that_are_encoded_apart(tokenizer: Tokenizer, encoder: TextEncoder) -> None:
    (conditions,) = encode_prompts(["a red BREAK cat"], [tokenizer], [encoder])
    assert conditions.context.shape == (1, 2 * 77, 16)
    for number, text in enumerate(("a red", "cat")):
        part = conditions.context[:, 77 * number : 77 * (number + 1)]
        assert torch.allclose(part, _alone(encoder, tokenizer.encode(text)[0]), atol=1e-6)
