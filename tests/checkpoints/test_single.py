import json
import os
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from calotype.checkpoints import ldm
from calotype.checkpoints.convert import irregular, write_single
from calotype.checkpoints.folder import write_folder
from calotype.checkpoints.info import describe
from calotype.checkpoints.keys import to_theirs
from calotype.checkpoints.networks import Networks, blank, load_network, load_networks, predicts_v, settled
from calotype.checkpoints.opening import open_checkpoint
from calotype.checkpoints.shapes import text_config, unet_config, vae_config
from calotype.checkpoints.single import read_lone, read_single
from calotype.checkpoints.stored import Stored
from calotype.configs import PRESETS, SD15, SD21, SDXL, ReadOptions, UNetConfig
from calotype.errors import CalotypeError
from calotype.nn.clip import TextEncoder
from calotype.nn.unet import UNet
from calotype.nn.vae import Autoencoder

UNET = ldm.UNET


@pytest.fixture
def single(tmp_path: Path, families: Any, make: Any) -> Any:
    """The single file of a family, and its networks."""

    def write(name: str) -> tuple[Path, Networks]:
        networks = make(families[name])
        write_single(tmp_path / f"{families[name].name}.safetensors", families[name], networks)
        return tmp_path / f"{families[name].name}.safetensors", networks

    return write


def equal(a: Networks, b: Networks) -> bool:
    pairs = [(a.vae, b.vae), (a.unet, b.unet), *zip(a.text, b.text, strict=True)]
    states = [(x.state_dict(), y.state_dict()) for x, y in pairs]
    return all(x.keys() == y.keys() and all(torch.equal(x[k], y[k]) for k in x) for x, y in states)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sd1", ("SD 1.x", "")),
        ("sd1-inpainting", ("SD 1.x", "inpainting")),
        ("sd1-pix2pix", ("SD 1.x", "InstructPix2Pix")),
        ("sd2-depth", ("SD 2.x", "depth2img")),
        ("sd2-v", ("SD 2.x", "")),
        ("sdxl", ("SDXL", "")),
        ("sdxl-v", ("SDXL", "")),
        ("refiner", ("SDXL refiner", "")),
    ],
)
def test_every_family_is_recognised_and_read(single: Any, families: Any, name: str, said: tuple[str, str]) -> None:
    path, networks = single(name)
    path = path.rename(path.with_name("sdxl-refiner.ckpt"))  # the name says nothing
    checkpoint = open_checkpoint(path)
    assert replace(checkpoint.config, name=families[name].name) == families[name]
    assert (checkpoint.config.family, checkpoint.config.purpose) == said
    assert not checkpoint.undecided
    assert equal(load_networks(checkpoint), networks)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_pickles_give_the_same_networks(single: Any, tmp_path: Path, zipped: bool) -> None:
    path, networks = single("sd2-v")
    tensors = load_file(path) | {"v_pred": torch.zeros(1)}
    tensors["model.diffusion_model.out.2.weight"] = tensors["model.diffusion_model.out.2.weight"].float()
    stacked = tensors["cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight"]
    tensors["cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight"] = stacked.T.contiguous().T
    content = {"state_dict": OrderedDict(tensors), "global_step": 1, "callbacks": {}}
    torch.save(content, tmp_path / "x", _use_new_zipfile_serialization=zipped)
    checkpoint = open_checkpoint(tmp_path / "x")
    assert checkpoint.config.schedule.parameterization == "v_prediction"
    assert equal(load_networks(checkpoint), networks)


def test_layouts_are_two_way(families: Any, make: Any) -> None:
    for config in families.values():
        networks = make(config)
        for network, names in zip((*networks.text, networks.vae, networks.unet), ldm.model_names(config), strict=True):
            assert len(set(names.values())) == len(names)
            theirs = {f"{names[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}" for key in network.state_dict()}
            tensors = dict.fromkeys(theirs, torch.zeros(3, 3))
            files = {key: Stored.contiguous(Path(), "F32", 0, tuple(t.shape)) for key, t in irregular(tensors).items()}
            assert ldm.regular(files).keys() == theirs
            assert ldm.without_junk(theirs) == theirs


def test_whole_sizes() -> None:
    """The published sizes: from the shapes that a real file has, the preset that it belongs to."""
    own = {"skip", "final_norm", "scaling_factor", "sample_size"}  # of the whole model, not of one network
    for config in (SD15, SD21, SDXL):
        kinds = [*[(TextEncoder, text, text_config) for text in config.text]]
        kinds += [(Autoencoder, config.vae, vae_config), (UNet, config.unet, unet_config)]
        for (kind, given, derive), names in zip(kinds, ldm.model_names(config), strict=True):
            prefix = next(
                p for p in (*ldm.TEXT_PREFIXES, ldm.VAE, ldm.UNET) if next(iter(names.values())).startswith(p)
            )
            shapes = {
                to_theirs(key, names).removeprefix(prefix): Stored.contiguous(Path(), "F16", 0, tuple(tensor.shape))
                for key, tensor in blank(kind, given).state_dict().items()
            }
            found = derive(shapes)
            assert all(value == getattr(found, key) for key, value in vars(given).items() if key not in own)


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="counts what is read as Linux does")
def test_a_file_of_7_gb_is_described_by_its_header(tmp_path: Path) -> None:
    kinds = [*((TextEncoder, text) for text in SDXL.text), (Autoencoder, SDXL.vae), (UNet, SDXL.unet)]
    tensors = {
        to_theirs(key, names): tensor
        for (kind, config), names in zip(kinds, ldm.model_names(SDXL), strict=True)
        for key, tensor in blank(kind, config).state_dict().items()
    }
    header, end = {}, 0
    for key, tensor in irregular(tensors).items():
        places, end = [end, end + 2 * tensor.numel()], end + 2 * tensor.numel()
        header[key] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": places}
    text = json.dumps(header).encode()
    path = tmp_path / "xl.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(path, 8 + len(text) + end)  # a hole, which takes no room

    def read_so_far() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])

    before = read_so_far()
    about = describe(path)
    assert read_so_far() - before < 3 * len(text)
    assert end > 6.9e9
    assert (about.family, about.networks["unet"].parameters) == ("SDXL", 2_567_463_684)


def test_running_averages_are_a_choice(single: Any, tmp_path: Path) -> None:
    path, networks = single("sd1")
    with pytest.raises(CalotypeError, match="no running averages"):
        open_checkpoint(path, ReadOptions(ema=True))
    tensors = load_file(path)
    averages = {ldm.ema_key(key): tensor + 1 for key, tensor in tensors.items() if key.startswith(UNET)}
    assert "model_ema.diffusion_modelinput_blocks00weight" in averages
    assert len(averages) == sum(key.startswith(UNET) for key in tensors)
    save_file(tensors | averages | {"model_ema.decay": torch.ones(1)}, path)
    assert equal(load_networks(open_checkpoint(path)), networks)
    averaged = load_networks(open_checkpoint(path, ReadOptions(ema=True)))
    assert torch.equal(averaged.unet.stem.bias.half(), networks.unet.stem.bias.half() + 1)
    assert torch.equal(averaged.vae.quant_conv.bias, networks.vae.quant_conv.bias)
    save_file(tensors | dict(list(averages.items())[1:]), path)
    with pytest.raises(CalotypeError, match="no running average of"):
        open_checkpoint(path, ReadOptions(ema=True))


JUNK = (
    "betas", "alphas_cumprod_prev", "sqrt_recipm1_alphas_cumprod", "posterior_log_variance_clipped", "logvar",
    "model_ema.num_updates", "cond_stage_model.model.logit_scale", "cond_stage_model.model.text_projection",
    "cond_stage_model.model.transformer.resblocks.23.attn.in_proj_weight", "first_stage_model.loss.logvar",
    "depth_model.model.pretrained.conv.weight", "denoiser.sigmas",
)  # fmt: skip


def test_junk_is_known_by_name_and_nothing_else_is(single: Any) -> None:
    path, networks = single("sd2-v")
    tensors = load_file(path)
    save_file(tensors | {key: torch.ones(3, 3) for key in JUNK}, path)
    assert equal(load_networks(open_checkpoint(path)), networks)
    for stranger in ("betas2", "cond_stage_model.model.stranger", f"{UNET}input_blocks.9.0.in_layers.0.weight"):
        save_file(tensors | {stranger: torch.ones(1)}, path)
        with pytest.raises(CalotypeError, match=f"unknown weights {stranger}"):
            load_networks(open_checkpoint(path))
    for missing in ("first_stage_model.quant_conv.bias", f"{UNET}out.2.bias"):
        save_file({key: tensor for key, tensor in tensors.items() if key != missing}, path)
        with pytest.raises(CalotypeError, match=f"lacks weights {missing}"):
            load_networks(open_checkpoint(path))
    save_file({key: tensor for key, tensor in tensors.items() if "post_quant_conv" not in key}, path)
    with pytest.raises(CalotypeError, match=r"is not whole: it lacks 'post_quant_conv\.weight'"):
        open_checkpoint(path)


def test_newer_spellings_of_clip_are_read(single: Any) -> None:
    path, networks = single("sd1")
    old, new = "cond_stage_model.transformer.text_model.", "cond_stage_model.transformer."
    save_file({key.replace(old, new): tensor for key, tensor in load_file(path).items()}, path)
    assert equal(load_networks(open_checkpoint(path)), networks)


@pytest.mark.parametrize(
    ("marks", "metadata", "found"),
    [
        ({}, {}, ("epsilon", False)),
        ({"v_pred"}, {}, ("v_prediction", False)),
        ({"v_pred", "ztsnr"}, {}, ("v_prediction", True)),
        ({}, {"modelspec.prediction_type": "v"}, ("v_prediction", False)),
        ({}, {"ss_v_parameterization": "True", "ss_zero_terminal_snr": "True"}, ("v_prediction", True)),
    ],
)
def test_what_it_predicts_is_found_and_can_be_overridden(
    single: Any, marks: set[str], metadata: dict[str, str], found: tuple[str, bool]
) -> None:
    path, _ = single("sdxl")
    save_file(load_file(path) | {mark: torch.zeros(0) for mark in marks}, path, metadata)
    schedule = open_checkpoint(path).config.schedule
    assert (schedule.parameterization, schedule.zero_terminal_snr) == found
    given = open_checkpoint(path, ReadOptions(parameterization="sample", zero_terminal_snr=True)).config.schedule
    assert (given.parameterization, given.zero_terminal_snr) == ("sample", True)


def linear_unet(config: UNetConfig, of_noise: float) -> UNet:
    """A U-Net whose answer to x is about ``of_noise`` times x, and otherwise of its own."""
    torch.manual_seed(0)
    unet = UNet(config)
    unet.init_weights()
    x = torch.randn(4, config.in_channels, 16, 16)
    features: list[torch.Tensor] = []
    unet.head.register_forward_pre_hook(lambda module, inputs: features.append(inputs[0]))
    with torch.no_grad():
        unet(x, torch.full((4,), 999.0), torch.zeros(4, 77, config.context_dim))
        patches = torch.nn.functional.unfold(features[0], 3, padding=1).transpose(1, 2).flatten(0, 1)
        wanted = (of_noise * x + (1 - of_noise) * torch.randn(1, 4, 16, 16)).flatten(2).transpose(1, 2).flatten(0, 1)
        solved = torch.linalg.lstsq(patches, wanted).solution
        unet.head.weight.copy_(solved.T.reshape(unet.head.weight.shape))
    return unet


def test_an_unmarked_sd2_is_asked(single: Any, families: Any, make: Any) -> None:
    path, networks = single("sd2-v")
    config = families["sd2-v"]
    for of_noise, kind, size in ((1.0, "epsilon", 512), (0.07, "v_prediction", 768)):
        unet = linear_unet(config.unet, of_noise)
        assert predicts_v(unet) == (kind == "v_prediction")
        write_single(path, config, replace(networks, unet=unet), torch.float32)
        save_file({key: tensor for key, tensor in load_file(path).items() if key != "v_pred"}, path)
        checkpoint = open_checkpoint(path)
        assert checkpoint.undecided
        decided = settled(checkpoint, load_networks(checkpoint).unet).config
        assert (decided.schedule.parameterization, decided.vae.sample_size) == (kind, size)
        assert not open_checkpoint(path, ReadOptions(parameterization="epsilon")).undecided


def test_numbers_of_every_width(single: Any) -> None:
    path, _ = single("sd1")
    tensors = {key: tensor.float() for key, tensor in load_file(path).items()}
    for dtype in (torch.float32, torch.bfloat16, torch.float8_e4m3fn, torch.float64):
        save_file({key: tensor.to(dtype) for key, tensor in tensors.items()}, path)
        for target, layout in ((torch.float32, torch.contiguous_format), (torch.bfloat16, torch.channels_last)):
            stem = load_networks(open_checkpoint(path), target).unet.stem.weight
            assert torch.equal(stem, tensors[f"{UNET}input_blocks.0.0.weight"].to(dtype).to(target))
            assert stem.is_contiguous(memory_format=layout)
    save_file({key: tensor.long() for key, tensor in tensors.items()}, path)
    with pytest.raises(CalotypeError, match="has no numbers of ours for"):
        load_networks(open_checkpoint(path))


def test_networks_alone(single: Any, families: Any, tmp_path: Path, vocabulary: dict[str, str]) -> None:
    path, networks = single("sd2-v")
    tensors = load_file(path)
    write_folder(tmp_path / "folder", families["sd2-v"], networks, vocabulary)
    parts = {
        "autoencoder": ("first_stage_model.", networks.vae, "vae/diffusion_pytorch_model.safetensors"),
        "U-Net": ("model.diffusion_model.", networks.unet, "unet/diffusion_pytorch_model.safetensors"),
        "text encoder": ("cond_stage_model.model.", networks.text[0], "text_encoder/model.safetensors"),
    }
    for content, (prefix, network, theirs) in parts.items():
        alone = {key: tensor for key, tensor in tensors.items() if key.startswith(prefix)}
        save_file(alone, tmp_path / "prefixed")
        torch.save(
            {key.removeprefix(prefix): t for key, t in alone.items()} | {"loss.logvar": torch.ones(1)},
            tmp_path / "bare",
        )
        for file in ("prefixed", "bare", f"folder/{theirs}"):
            lone = read_lone(tmp_path / file)
            assert lone.kind.content == content
            found = load_network(network.config, lone.source).state_dict()
            assert all(torch.equal(found[key], tensor) for key, tensor in network.state_dict().items())
            with pytest.raises(CalotypeError, match=f"is not a whole model, but an? {content} alone"):
                read_single(tmp_path / file)
    with pytest.raises(CalotypeError, match="but a whole model: give it as the model"):
        read_lone(path)


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("lora_unet_down_blocks_0.lora_down.weight", "a LoRA"),
        ("base_model.model.attn.to_q.lora_A.weight", "a LoRA"),
        ("unet.down_blocks.0.attentions.0.processor.to_q_lora.down.weight", "a LoRA"),
        ("lora_te_text_model_encoder.hada_w1_a", "a LoRA"),
        ("control_model.input_hint_block.0.weight", "a ControlNet"),
        ("controlnet_cond_embedding.conv_in.weight", "a ControlNet"),
        ("emb_params", "a textual-inversion"),
        ("string_to_param.*", "a textual-inversion"),
        ("model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight", "a Stable Diffusion 3"),
        ("double_blocks.0.img_attn.qkv.weight", "a Flux"),
        ("noise_augmentor.data_mean", "an unCLIP"),
        ("model.diffusion_model.label_emb.weight", "an x4 upscaler"),
        ("edm_mean", "a model with EDM's"),
        ("body.0.rdb1.conv1.weight", "an upscaler"),
        ("encoder.conv_in.weight", "an autoencoder for another kind of model, such as Stable Diffusion 3"),
        ("something.else", "of no kind that Calotype knows"),
        ("model.diffusion_model.input_blocks.0.0.weight", "a U-Net alone"),
    ],
)
def test_what_is_no_model_is_named(tmp_path: Path, key: str, what: str) -> None:
    save_file({key: torch.zeros(1, 1, 1, 1)}, tmp_path / "model.safetensors")
    with pytest.raises(CalotypeError, match=f"model.safetensors is not a whole model, but {what}") as caught:
        open_checkpoint(tmp_path / "model.safetensors")
    assert "\n" not in str(caught.value)


def test_an_autoencoder_of_another_kind_of_model_is_not_taken_for_a_damaged_one(single: Any, tmp_path: Path) -> None:
    """Those of Stable Diffusion 3 and Flux have all but the two convolutions around the latents."""
    tensors = load_file(single("sd1")[0])
    vae = {key.removeprefix(ldm.VAE): tensor for key, tensor in tensors.items() if key.startswith(ldm.VAE)}
    save_file({key: tensor for key, tensor in vae.items() if "quant_conv" not in key}, tmp_path / "ae")
    with pytest.raises(CalotypeError, match="but an autoencoder for another kind of model, such as"):
        read_lone(tmp_path / "ae")
    save_file({key: tensor for key, tensor in vae.items() if "post_quant_conv" not in key}, tmp_path / "ae")
    with pytest.raises(CalotypeError, match=r"not a whole autoencoder: it lacks 'post_quant_conv\.weight'"):
        read_lone(tmp_path / "ae")


def test_a_model_without_a_part_says_which(single: Any) -> None:
    path, _ = single("sd1")
    save_file({key: tensor for key, tensor in load_file(path).items() if "first_stage" not in key}, path)
    with pytest.raises(CalotypeError, match="a model without the autoencoder"):
        open_checkpoint(path)


def test_the_original_code_has_no_words_for_others(tmp_path: Path, make: Any) -> None:
    embedded = replace(PRESETS["embedded"], text=(replace(PRESETS["embedded"].text[0], num_layers=1),))
    with pytest.raises(CalotypeError, match="Write it as a diffusers folder"):
        write_single(tmp_path / "x", embedded, make(embedded))
    assert list(tmp_path.iterdir()) == []


def test_other_pipelines_are_refused_by_name(single: Any, families: Any, tmp_path: Path, vocabulary: Any) -> None:
    _, networks = single("sd1")
    write_folder(tmp_path / "folder", families["sd1"], networks, vocabulary)
    index = json.loads((tmp_path / "folder/model_index.json").read_text())
    for name in ("StableDiffusion3Pipeline", "FluxPipeline", "StableDiffusionUpscalePipeline"):
        (tmp_path / "folder/model_index.json").write_text(json.dumps(index | {"_class_name": name}))
        with pytest.raises(CalotypeError, match=f"is a {name.removesuffix('Pipeline')}, which Calotype does not run"):
            open_checkpoint(tmp_path / "folder")
