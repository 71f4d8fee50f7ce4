"""The forms in which one model is found, and from one to another."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from calotype.api import load
from calotype.checkpoints import hashes, vocabulary
from calotype.checkpoints.convert import convert, write_single
from calotype.checkpoints.folder import write_folder
from calotype.checkpoints.info import as_json, describe
from calotype.checkpoints.networks import Networks, load_networks
from calotype.checkpoints.opening import open_checkpoint
from calotype.errors import CalotypeError
from calotype.model import Model
from calotype.text.tokenizer import END, START, Tokenizer

UNET = "unet/diffusion_pytorch_model"


@pytest.fixture
def folder(tmp_path: Path, families: Any, make: Any, vocabulary: dict[str, str]) -> Any:
    """The diffusers folder of a family, and its networks."""

    def write(name: str) -> tuple[Path, Networks]:
        networks = make(families[name])
        write_folder(tmp_path / name, families[name], networks, vocabulary)
        return tmp_path / name, networks

    return write


def equal(a: Networks, b: Networks) -> bool:
    pairs = [(a.vae, b.vae), (a.unet, b.unet), *zip(a.text, b.text, strict=True)]
    states = [(x.state_dict(), y.state_dict()) for x, y in pairs]
    return all(x.keys() == y.keys() and all(torch.equal(x[k], y[k]) for k in x) for x, y in states)


def test_shards_variants_and_pickles_are_found(folder: Any) -> None:
    path, networks = folder("sd1")
    tensors = load_file(path / f"{UNET}.safetensors")
    (path / f"{UNET}.safetensors").rename(path / f"{UNET}.fp16.safetensors")
    assert equal(load_networks(open_checkpoint(path)), networks)
    (path / f"{UNET}.fp16.safetensors").unlink()

    torch.save(tensors, path / f"{UNET}.bin")
    assert equal(load_networks(open_checkpoint(path)), networks)

    names = [f"diffusion_pytorch_model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    placed = {key: names[i % 2] for i, key in enumerate(tensors)}
    for name in names:
        save_file({key: tensor for key, tensor in tensors.items() if placed[key] == name}, path / "unet" / name)
    index = path / f"{UNET}.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    checkpoint = open_checkpoint(path)
    assert checkpoint.unet.path == index
    assert equal(load_networks(checkpoint), networks)

    save_file(tensors, path / "unet" / names[0])
    with pytest.raises(CalotypeError, match="in two files"):
        open_checkpoint(path)
    (path / "unet" / names[0]).unlink()
    with pytest.raises(CalotypeError, match=f"there is no file '.*{names[0]}': check the name"):
        open_checkpoint(path)
    for outside in ("../vae/diffusion_pytorch_model.safetensors", "/etc/passwd"):
        index.write_text(json.dumps({"weight_map": {"a": outside}}))
        with pytest.raises(CalotypeError, match="points to files outside its folder"):
            open_checkpoint(path)


def test_linked_folders(folder: Any, tmp_path: Path) -> None:
    path, networks = folder("sd1")
    (path / "unet").rename(tmp_path / "elsewhere")
    (path / "unet").symlink_to(tmp_path / "elsewhere")
    assert equal(load_networks(open_checkpoint(path)), networks)
    (path / "unet").unlink()
    (path / "unet").symlink_to(path / "unet")
    with pytest.raises(CalotypeError, match=r"cannot read .*unet.config\.json") as caught:
        open_checkpoint(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["sd1-inpainting", "sd2-v", "sdxl-v", "refiner"])
def test_there_and_back_gives_equal_tensors(folder: Any, families: Any, tmp_path: Path, name: str) -> None:
    path, networks = folder(name)
    single, again = tmp_path / "single.safetensors", tmp_path / "again"
    convert(open_checkpoint(path), single, "ldm", torch.float16)
    checkpoint = replace(open_checkpoint(single), tokenizers=open_checkpoint(path).tokenizers)
    convert(checkpoint, again, "diffusers", torch.float16)
    assert equal(load_networks(open_checkpoint(again)), networks)
    assert replace(open_checkpoint(again).config, name=families[name].name) == families[name]
    for file in path.rglob("*.safetensors"):
        before, after = load_file(file), load_file(again / file.relative_to(path))
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)


def test_the_publishers_sampler_is_read_and_written_again(folder: Any, tmp_path: Path) -> None:
    path, _ = folder("sd1")
    file = path / "scheduler/scheduler_config.json"
    written = json.loads(file.read_text())
    assert (open_checkpoint(path).sampler, open_checkpoint(path).scheduler) == ("DPM++ 2M", "karras")
    plain = {key: written[key] for key in ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps")}
    for said, found in (
        ({"_class_name": "PNDMScheduler", "skip_prk_steps": True}, ("PLMS", "leading")),
        ({"_class_name": "PNDMScheduler"}, ("PNDM", "leading")),
        ({"_class_name": "EulerAncestralDiscreteScheduler"}, ("Euler a", "diffusers_interpolated")),
        ({"_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": True}, ("Euler", "karras")),
        ({"_class_name": "DDIMScheduler", "timestep_spacing": "trailing"}, ("DDIM", "diffusers_trailing")),
        (
            {"_class_name": "DDIMScheduler", "timestep_spacing": "trailing", "set_alpha_to_one": False},
            ("DDIM", "trailing"),
        ),
        (
            {"_class_name": "DPMSolverSinglestepScheduler", "timestep_spacing": "trailing"},
            ("DPM++ 2S", "diffusers_linspace"),
        ),
        (
            {"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "sde-dpmsolver++"},
            ("DPM++ 2M SDE", "diffusers_linspace"),
        ),
        ({"_class_name": "LCMScheduler", "timestep_spacing": "leading"}, ("LCM", "")),
        ({"_class_name": "OfTomorrow", "timestep_spacing": "leading"}, ("", "")),
    ):
        file.write_text(json.dumps(plain | said))
        checkpoint = open_checkpoint(path)
        assert (checkpoint.sampler, checkpoint.scheduler) == found
        if found != ("", ""):
            convert(checkpoint, tmp_path / "again", "diffusers", torch.float16)
            again = open_checkpoint(tmp_path / "again")
            assert (again.sampler, again.scheduler) == found
            assert replace(again.config, name="") == replace(checkpoint.config, name="")


def test_a_network_takes_anothers_place(folder: Any, families: Any, make: Any, tmp_path: Path) -> None:
    path, networks = folder("sd1")
    model = Model.read(path)
    torch.nn.init.ones_(networks.vae.quant_conv.bias)
    torch.nn.init.ones_(networks.unet.stem.bias)
    torch.nn.init.ones_(networks.text[0].norm.bias)
    write_single(tmp_path / "x", families["sd1"], networks)
    tensors = load_file(tmp_path / "x")
    for prefix, changed in (
        ("first_stage_model.", lambda m: m.vae.quant_conv.bias),
        ("model.diffusion_model.", lambda m: m.unet.stem.bias),
        ("cond_stage_model.", lambda m: m.text_encoders[0].norm.bias),
    ):
        save_file({key: tensor for key, tensor in tensors.items() if key.startswith(prefix)}, tmp_path / "part")
        swapped = model.with_part(tmp_path / "part")
        assert (changed(swapped) == 1).all()
        assert not (changed(model) == 1).all()
        assert swapped.config == model.config
        assert swapped.hash != model.hash
    assert (load(path, vae=path / "vae/diffusion_pytorch_model.safetensors").vae.quant_conv.bias == 1).sum() == 0
    with pytest.raises(CalotypeError, match=r"autoencoder, U-Net or text encoder alone, but a whole model"):
        model.with_part(tmp_path / "x")
    wide = replace(families["sd1"], vae=replace(families["sd1"].vae, latent_channels=8))
    write_single(tmp_path / "y", replace(wide, unet=replace(wide.unet, in_channels=8, out_channels=8)), make(replace(
        wide, unet=replace(wide.unet, in_channels=8, out_channels=8))))  # fmt: skip
    other = {key: tensor for key, tensor in load_file(tmp_path / "y").items() if key.startswith("first_stage_model.")}
    save_file(other, tmp_path / "part")
    with pytest.raises(CalotypeError, match="its latents do not fit"):
        model.with_part(tmp_path / "part")


def test_a_text_encoder_goes_where_one_of_its_kind_is(folder: Any, families: Any, make: Any, tmp_path: Path) -> None:
    networks = make(families["sdxl"])
    torch.nn.init.ones_(networks.text[1].norm.bias)
    write_single(tmp_path / "x", families["sdxl"], networks)
    second = {key: tensor for key, tensor in load_file(tmp_path / "x").items() if ".embedders.1.model." in key}
    save_file({key.rpartition(".model.")[2]: tensor for key, tensor in second.items()}, tmp_path / "part")
    model = Model.read(folder("sdxl")[0])
    swapped = model.with_part(tmp_path / "part")
    assert swapped.text_encoders[0] is model.text_encoders[0]
    assert (swapped.text_encoders[1].norm.bias == 1).all()
    with pytest.raises(CalotypeError, match="is a text encoder of another kind than this model's: it is 64 wide"):
        Model.read(folder("sd1")[0]).with_part(tmp_path / "part")


def test_openclips_last_layer_and_projection_are_left_out_for_sd2(folder: Any, families: Any, tmp_path: Path) -> None:
    path, networks = folder("sd2-v")
    torch.nn.init.ones_(networks.text[0].norm.bias)
    write_single(tmp_path / "x", families["sd2-v"], networks)
    own = {key: tensor for key, tensor in load_file(tmp_path / "x").items() if key.startswith("cond_stage_model.")}
    last = {key.replace("resblocks.1.", "resblocks.2."): tensor.clone() for key, tensor in own.items()}
    projection = {"cond_stage_model.model.text_projection": torch.ones(64, 32)}
    save_file(last | own | projection, tmp_path / "part")
    (swapped,) = Model.read(path).with_part(tmp_path / "part").text_encoders
    assert all(torch.equal(swapped.state_dict()[key], tensor) for key, tensor in networks.text[0].state_dict().items())
    bare = {key.removeprefix("cond_stage_model.model."): tensor for key, tensor in (last | own | projection).items()}
    save_file(bare | {"ln_last.weight": torch.ones(64)}, tmp_path / "part")
    with pytest.raises(CalotypeError, match=r"has unknown weights ln_last\.weight"):
        Model.read(path).with_part(tmp_path / "part")


def test_a_text_encoder_as_transformers_spells_it_now(folder: Any, tmp_path: Path) -> None:
    """Without a prefix its layers are called as a tiny autoencoder's."""
    path, networks = folder("sd1")
    torch.nn.init.ones_(networks.text[0].norm.bias)
    model = Model.read(path)
    tensors = load_file(path / "text_encoder/model.safetensors")
    flat = {key.removeprefix("text_model."): tensor for key, tensor in tensors.items()}
    save_file(flat | {"final_layer_norm.bias": torch.ones(64)}, tmp_path / "part")
    assert describe(tmp_path / "part").kind == "text encoder alone"
    (swapped,) = model.with_part(tmp_path / "part").text_encoders
    assert all(torch.equal(swapped.state_dict()[key], tensor) for key, tensor in networks.text[0].state_dict().items())
    for key in ("encoder.layers.0.weight", "decoder.layers.3.conv.0.bias", "0.weight", "1.conv.0.weight"):
        save_file({key: torch.ones(1)}, tmp_path / "tiny")
        assert describe(tmp_path / "tiny").kind == "a tiny autoencoder (TAESD)"


def test_clips_vocabulary_from_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(vocabulary, "find_spec", lambda name: None)
    with pytest.raises(CalotypeError, match="run `calotype pull openai/clip-vit-large-patch14"):
        vocabulary.clip_vocabulary()

    merges = [("u", "n"), ("un", "i</w>")] + [(chr(256 + i % 190), chr(256 + i // 190)) for i in range(48892)]
    package = tmp_path / "open_clip"
    package.mkdir()
    text = "\n".join(['"bpe_simple_vocab_16e6.txt#version: 0.2', *(" ".join(pair) for pair in merges), "left over"])
    (package / "bpe_simple_vocab_16e6.txt.gz").write_bytes(gzip.compress(text.encode()))
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.undo()
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.syspath_prepend(tmp_path)
    vocab, found = vocabulary.clip_vocabulary()
    assert (len(vocab), vocab[START], vocab[END], found) == (49408, 49406, 49407, merges)
    assert [vocab["!"], vocab["a</w>"], vocab["un"]] == [0, 320, 512]  # as in CLIP's own

    snapshot = tmp_path / "hub/models--openai--clip-vit-large-patch14/snapshots/0"
    snapshot.mkdir(parents=True)
    (snapshot / "vocab.json").write_text(json.dumps(vocab))
    (snapshot / "merges.txt").write_text("\n".join(["#version: 0.2", *(" ".join(pair) for pair in merges)]))
    (package / "bpe_simple_vocab_16e6.txt.gz").unlink()
    assert vocabulary.clip_vocabulary() == (vocab, merges)


@pytest.mark.parametrize("merge", ["u n", ["u", "n"]], ids=["line", "pair"])
def test_a_vocabulary_in_one_file_is_converted_too(
    folder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, merge: object
) -> None:
    path, _ = folder("sd1")
    own = json.loads((path / "tokenizer/vocab.json").read_text())
    own["un"] = own.pop("é")
    for name in ("vocab.json", "merges.txt"):
        (path / "tokenizer" / name).unlink()
    (path / "tokenizer/tokenizer.json").write_text(json.dumps({"model": {"vocab": own, "merges": [merge]}}))
    monkeypatch.setattr(vocabulary, "clip_vocabulary", lambda: pytest.fail("the model has one of its own"))
    written = vocabulary.tokenizer_files(open_checkpoint(path))
    assert (json.loads(written["vocab.json"]), written["merges.txt"]) == (own, "#version: 0.2\nu n\n")


def test_single_files_read_prompts_as_their_encoders_were_taught(
    tmp_path: Path, families: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    vocab, merges = vocabulary.from_merges([])
    monkeypatch.setattr(vocabulary, "clip_vocabulary", lambda: (vocab, merges))
    pads = {}
    for name in ("sd1", "sd2-v", "sdxl"):
        write_single(tmp_path / "x", families[name], make(families[name]))
        pads[name] = [tokenizer.pad for tokenizer in vocabulary.read_tokenizers(open_checkpoint(tmp_path / "x"))]
    assert pads == {"sd1": [513], "sd2-v": [0], "sdxl": [513, 0]}
    written = vocabulary.tokenizer_files(open_checkpoint(tmp_path / "x"))
    for name, text in written.items():
        (tmp_path / name).write_text(text)
    assert Tokenizer.read(tmp_path).tokens("a é 7") == Tokenizer.of(vocab, merges).tokens("a é 7")


def test_info_says_what_it_is_from_headers(folder: Any, tmp_path: Path, families: Any) -> None:
    path, networks = folder("sdxl-v")
    (path / "README.md").write_text("---\nlicense: openrail++\ntags:\n- x\nbase_model: a/b\n---\n# The card\n")
    about = describe(path)
    assert (about.family, about.parameterization, about.zero_terminal_snr) == ("SDXL", "v_prediction", True)
    assert (about.sampler, about.needs) == ("DPM++ 2M on diffusers_leading", ())
    assert about.licence == {"license": "openrail++", "base_model": "a/b"}
    assert list(about.networks) == ["text_encoder", "text_encoder_2", "vae", "unet"]
    assert about.networks["unet"].parameters == sum(p.numel() for p in networks.unet.parameters())
    assert about.networks["unet"].dtypes == ("F16",)

    write_single(tmp_path / "x", families["sdxl-v"], networks)
    single = describe(tmp_path / "x")
    assert single.networks == about.networks
    assert single.needs == ("CLIP's vocabulary, from this machine",)
    assert json.loads(as_json(single, sha256="0"))["networks"]["vae"]["dtypes"] == ["F16"]

    save_file({"lora_unet_x.lora_up.weight": torch.ones(2, 3)}, tmp_path / "y", {"modelspec.license": "MIT"})
    lora = describe(tmp_path / "y")
    assert (lora.kind, lora.licence) == ("a LoRA, which changes a model but is none", {"modelspec.license": "MIT"})
    assert lora.networks["tensors"].parameters == 6
    assert describe(path / "vae/diffusion_pytorch_model.safetensors").kind == "autoencoder alone"


def test_hashes_are_a1111s_and_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    monkeypatch.setenv("CALOTYPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hashes, "_WORTH_REMEMBERING", 100)
    path = tmp_path / "lora.safetensors"
    save_file({"lora_unet_x.lora_up.weight": torch.ones(200)}, path)
    content = path.read_bytes()
    after_header = content[8 + int.from_bytes(content[:8], "little") :]
    assert hashes.file_hash(path) == hashlib.sha256(content).hexdigest()
    assert hashes.lora_hash(path) == hashlib.sha256(after_header).hexdigest()[:12]
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(hashes, "_count", lambda *_: pytest.fail("counted again"))
    assert hashes.file_hash(path, lambda *progress: seen.append(progress)) == hashlib.sha256(content).hexdigest()
    monkeypatch.undo()
    monkeypatch.setenv("CALOTYPE_CACHE", str(tmp_path / "cache"))
    path.write_bytes(content + b"x")
    assert hashes.file_hash(path, lambda *progress: seen.append(progress)) == hashlib.sha256(content + b"x").hexdigest()
    assert seen == [(len(content) + 1, len(content) + 1)]
