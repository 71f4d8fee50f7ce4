import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from safetensors.torch import load_file, save_file

from calotype.checkpoints.folder import read_folder, write_folder
from calotype.checkpoints.networks import Networks, load_networks
from calotype.checkpoints.opening import open_checkpoint
from calotype.errors import CalotypeError
from calotype.nn.vae import Autoencoder

UNET = "unet/diffusion_pytorch_model.safetensors"


def equal(a: Networks, b: Networks) -> bool:
    pairs = [(a.vae, b.vae), (a.unet, b.unet), *zip(a.text, b.text, strict=True)]
    states = [(x.state_dict(), y.state_dict()) for x, y in pairs]
    return all(x.keys() == y.keys() and all(torch.equal(x[k], y[k]) for k in x) for x, y in states)


def test_what_is_written_is_read(written: Any) -> None:
    checkpoint = read_folder(written.path)
    assert checkpoint.config == written.config
    networks = load_networks(checkpoint)
    assert equal(networks, written.networks)
    assert {p.dtype for p in networks.unet.parameters()} == {torch.float32}
    assert all((folder / "vocab.json").is_file() for folder in checkpoint.tokenizers)
    assert load_networks(checkpoint, dtype=torch.bfloat16).vae.quant_conv.weight.dtype == torch.bfloat16


def test_files_are_those_of_the_published_folder(written: Any) -> None:
    tensors = load_file(written.path / "text_encoder/model.safetensors")
    assert "text_model.final_layer_norm.weight" in tensors
    assert not any("position_ids" in key for key in tensors)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert sorted(path.name for path in (written.path / "tokenizer").iterdir()) == [
        "merges.txt", "special_tokens_map.json", "tokenizer_config.json", "vocab.json",
    ]  # fmt: skip
    assert json.loads((written.path / "tokenizer/tokenizer_config.json").read_text())["model_max_length"] == 77


@torch.no_grad()
def test_diffusers_opens_it_and_writes_it_back(written: Any, tmp_path: Path) -> None:
    xl = len(written.config.text) == 2
    pipeline = (StableDiffusionXLPipeline if xl else StableDiffusionPipeline).from_pretrained(written.path)
    scheduler, schedule = pipeline.scheduler.config, written.config.schedule
    assert (scheduler.beta_end, scheduler.prediction_type) == (schedule.beta_end, schedule.parameterization)
    tokens = pipeline.tokenizer("7 é").input_ids
    assert (tokens[0], tokens[-1], 513 in tokens[1:-1]) == (512, 513, False)
    assert pipeline.tokenizer.model_max_length == 77
    latents = torch.randn(1, 4, 8, 8)
    torch.testing.assert_close(pipeline.vae.decode(latents).sample, written.networks.vae.decode(latents))
    # Their spelling of today, in float32, with their own json files.
    pipeline.save_pretrained(tmp_path / "again" / "tiny")
    again = read_folder(tmp_path / "again" / "tiny")
    assert again.config == written.config
    assert equal(load_networks(again), written.networks)


def test_old_spellings_are_read(written: Any) -> None:
    """What SD 1.5's published files say: the attention of its autoencoder, and a buffer of position numbers."""
    path = written.path / "vae/diffusion_pytorch_model.safetensors"
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = load_file(path)
    for new, name in old.items():
        tensors = {key.replace(f".{new}.", f".{name}."): tensor for key, tensor in tensors.items()}
    assert "encoder.mid_block.attentions.0.proj_attn.bias" in tensors
    save_file(tensors, path)
    path = written.path / "text_encoder/model.safetensors"
    save_file(load_file(path) | {"text_model.embeddings.position_ids": torch.arange(77)[None]}, path)
    assert equal(load_networks(read_folder(written.path)), written.networks)


def test_damage_is_one_line_that_names_the_file(written: Any) -> None:
    path = written.path / UNET
    whole = path.read_bytes()
    for damaged, what in (
        (whole[: len(whole) // 2], "is cut short"),
        (whole[:100], "is damaged: its header claims"),
        (b"", "is empty"),
        (b"\xff" * 1000, "is not a file of weights"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(CalotypeError, match=rf"unet.diffusion_pytorch_model\.safetensors {what}") as caught:
            load_networks(read_folder(written.path))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("conv_in.bias"), "lacks weights conv_in.bias"),
        (lambda t: t.update(stowaway=torch.ones(1)), "has unknown weights stowaway"),
        (lambda t: t.update({"conv_in.bias": torch.ones(3)}), "has wrong shapes for weights conv_in.bias"),
        (lambda t: [t.pop(key) for key in list(t)[:5]], "and 2 more: it is not the network it claims to be"),
    ],
    ids=["missing", "unknown", "shape", "many"],
)
def test_every_key_is_used_exactly_once(written: Any, change: Any, message: str) -> None:
    tensors = load_file(written.path / UNET)
    change(tensors)
    save_file(tensors, written.path / UNET)
    with pytest.raises(CalotypeError, match=message):
        load_networks(read_folder(written.path))


def test_what_is_not_there_is_named(written: Any, tmp_path: Path) -> None:
    with pytest.raises(CalotypeError, match=r"it has no model_index\.json"):
        read_folder(tmp_path / "nowhere")
    (written.path / UNET).rename(written.path / "unet/weights.safetensors")
    with pytest.raises(CalotypeError, match=r"unet has no diffusion_pytorch_model\.safetensors"):
        load_networks(read_folder(written.path))
    config = written.path / "vae/config.json"
    for text, message in (("{", "it is not JSON"), ("[]", "no JSON object"), ("{}", "'block_out_channels' is missing")):
        config.write_text(text)
        with pytest.raises(CalotypeError, match=message):
            read_folder(written.path)
    config.unlink()
    with pytest.raises(CalotypeError, match=r"cannot read .*vae.config\.json"):
        read_folder(written.path)


def test_models_of_other_kinds_are_refused(written: Any) -> None:
    path = written.path / "unet/config.json"
    settings = json.loads(path.read_text())
    for key, value in (("time_cond_proj_dim", 256), ("down_block_types", ["SimpleCrossAttnDownBlock2D"] * 2)):
        path.write_text(json.dumps(settings | {key: value}))
        with pytest.raises(CalotypeError, match=f"does not know: {key}"):
            read_folder(written.path)


@pytest.mark.parametrize(
    ("version", "size", "read"),
    [
        ("0.2.2", 32, 64),
        ("0.8.0.dev0", 32, 64),
        ("0.8.1", 96, 96),
        ("0.9.0", 32, 32),
        (None, 32, 32),
        (None, [64, 96], 64),
        (None, None, 64),
    ],
)
def test_old_files_of_sd_1_make_512_x_512(version: str | None, size: Any, read: int, written: Any) -> None:
    """As diffusers reads them, and where they do not tell."""
    path = written.path / "unet/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sample_size": size, "_diffusers_version": version}))
    config = read_folder(written.path).config
    assert (config.unet.sample_size, config.side) == (read, read * config.vae.downscale)


@pytest.mark.parametrize("key", ["transformer_layers_per_block", "attention_head_dim", "block_out_channels"])
def test_as_many_values_as_levels(written: Any, key: str) -> None:
    path = written.path / "unet/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: [8, 8, 8, 8, 8]}))
    with pytest.raises(CalotypeError, match=r"json files say nonsense \(5 values for \d levels\)"):
        read_folder(written.path)


def change(path: Path, **settings: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def test_one_number_may_be_told_for_each_level(written: Any) -> None:
    unet = written.config.unet
    for key, value in (("layers_per_block", unet.layers_per_block), ("cross_attention_dim", unet.context_dim)):
        change(written.path / "unet/config.json", **{key: [value] * 3})
    change(written.path / "vae/config.json", layers_per_block=[written.config.vae.layers_per_block] * 2)
    assert read_folder(written.path).config == written.config
    change(written.path / "unet/config.json", layers_per_block=[1, 2])
    with pytest.raises(CalotypeError, match=r"does not know: layers_per_block is \[1, 2\]"):
        read_folder(written.path)


@pytest.mark.parametrize(
    ("file", "key", "value", "message"),
    [
        ("vae/config", "scaling_factor", None, "nonsense .scaling_factor is None"),
        ("vae/config", "block_out_channels", [32, -8], "nonsense .channels is"),
        ("vae/config", "norm_num_groups", 5, "channels of its autoencoder do not part into 5 groups"),
        ("unet/config", "norm_num_groups", 5, "channels of its U-Net do not part into 5 groups"),
        ("unet/config", "attention_head_dim", 7, "channels of its U-Net do not part into 7 heads"),
        ("unet/config", "norm_eps", "1e-5", "nonsense .norm_eps is '1e-5'"),
        ("text_encoder/config", "num_attention_heads", 7, "channels of its text encoder do not part into 7 heads"),
        ("text_encoder/config", "num_hidden_layers", True, "nonsense .num_layers is True"),
        ("scheduler/scheduler_config", "beta_end", None, "nonsense .beta_end is None"),
        ("scheduler/scheduler_config", "num_train_timesteps", "1000", "nonsense .num_steps is '1000'"),
        ("model_index", "_class_name", ["StableDiffusionPipeline"], "which Calotype does not run"),
    ],
)
def test_settings_are_of_their_kind(written: Any, file: str, key: str, value: Any, message: str) -> None:
    change(written.path / f"{file}.json", **{key: value})
    with pytest.raises(CalotypeError, match=message) as caught:
        open_checkpoint(written.path)
    assert "\n" not in str(caught.value)


def test_a_class_that_is_no_name_chooses_no_sampler(written: Any) -> None:
    change(written.path / "scheduler/scheduler_config.json", _class_name=["DDIMScheduler"])
    assert read_folder(written.path).sampler == ""


def test_an_index_whose_text_encoder_is_a_number_names_none(written: Any) -> None:
    change(written.path / "model_index.json", text_encoder=5, text_encoder_2=5)
    with pytest.raises(CalotypeError, match="names no text encoder"):
        read_folder(written.path)


@pytest.mark.parametrize("name", ["", "..", "../other.safetensors"])
def test_shards_lie_in_the_folder_of_their_index(written: Any, name: str) -> None:
    (written.path / UNET).unlink()
    (written.path / f"{UNET}.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(CalotypeError, match="points to files outside its folder"):
        read_folder(written.path)


def test_a_model_is_replaced_and_its_card_kept(written: Any, vocabulary: dict[str, str]) -> None:
    (written.path / "README.md").write_text("the card")
    (written.path / "unet/stale.txt").write_text("of the old model")
    torch.nn.init.ones_(written.networks.unet.stem.bias)
    write_folder(written.path, written.config, written.networks, vocabulary)
    assert equal(load_networks(read_folder(written.path)), written.networks)
    assert (written.path / "README.md").read_text() == "the card"
    assert not (written.path / "unet/stale.txt").exists()
    assert [path.name for path in written.path.parent.iterdir()] == ["tiny"]


def test_nothing_half_written(written: Any, tmp_path: Path, vocabulary: dict[str, str]) -> None:
    torch.nn.init.constant_(written.networks.unet.head.bias, 1e6)  # more than float16 can hold; written last
    with pytest.raises(CalotypeError, match=r"head\.bias: it is not finite in torch\.float16"):
        write_folder(tmp_path / "new", written.config, written.networks, vocabulary)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_other_peoples_files_are_left_alone(written: Any, tmp_path: Path, vocabulary: dict[str, str]) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/letter.txt").write_text("dear")
    for place in (tmp_path / "home", tmp_path / "home/letter.txt"):
        with pytest.raises(CalotypeError, match="something else is there"):
            write_folder(place, written.config, written.networks, vocabulary)
    with pytest.raises(CalotypeError, match="cannot write"):
        write_folder(tmp_path / "home/letter.txt/model", written.config, written.networks, vocabulary)
    assert (tmp_path / "home/letter.txt").read_text() == "dear"


def test_what_the_json_files_cannot_say_is_not_written(
    written: Any, tmp_path: Path, vocabulary: dict[str, str]
) -> None:
    vae = replace(written.config.vae, norm_eps=1e-5)
    networks = replace(written.networks, vae=Autoencoder(vae))
    with pytest.raises(CalotypeError, match="no words for its configuration"):
        write_folder(tmp_path / "new", replace(written.config, vae=vae), networks, vocabulary)
