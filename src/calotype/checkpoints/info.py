"""What a file or folder is, for a person: read from headers alone, without torch."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from calotype.checkpoints.checkpoint import Checkpoint
from calotype.checkpoints.opening import open_checkpoint
from calotype.checkpoints.single import LoneNetwork, read_lone
from calotype.checkpoints.sniff import kind_of, open_file
from calotype.checkpoints.stored import Stored
from calotype.configs import ModelConfig


@dataclass(frozen=True)
class NetworkInfo:
    """One network of a model."""

    parameters: int
    dtypes: tuple[str, ...]
    """Of its numbers in the file, by safetensors' names."""


@dataclass(frozen=True)
class Info:
    """What a file or folder is."""

    path: Path
    format: str
    kind: str
    family: str = ""
    parameterization: str = ""
    zero_terminal_snr: bool | None = None
    sampler: str = ""
    """The publisher's choice, and the scheduler it is on."""
    networks: Mapping[str, NetworkInfo] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    licence: Mapping[str, str] = field(default_factory=dict)
    """What the file or the folder's card says of its licence, author and origin."""
    needs: tuple[str, ...] = ()
    """What else it takes to make pictures with it."""
    not_honoured: tuple[str, ...] = ()
    """What the publisher's choice asks of the sampler that ours does not do."""


def describe(path: Path) -> Info:
    """What is at ``path``: a diffusers folder, a single file, one network, or something that is no model.

    Raises CalotypeError if the file is damaged or holds no tensors at all.
    """
    if path.is_dir():
        return _of_model(open_checkpoint(path), _card(path / "README.md"))
    file = open_file(path)
    kind = kind_of(file.weights)
    if kind.content == "model":
        return _of_model(open_checkpoint(path), _licence(file.metadata))
    if kind.content is not None:
        return _of_lone(path, read_lone(path))
    networks = {"tensors": _network(file.weights.values())}
    return Info(
        path, file.format, kind.other, networks=networks, metadata=file.metadata, licence=_licence(file.metadata)
    )


def _of_model(checkpoint: Checkpoint, licence: Mapping[str, str]) -> Info:
    config, schedule = checkpoint.config, checkpoint.config.schedule
    said = "epsilon or v_prediction, by its values" if checkpoint.undecided else schedule.parameterization
    return Info(
        checkpoint.path,
        checkpoint.format,
        " ".join(filter(None, ("a model", config.purpose and f"for {config.purpose}"))),
        config.family,
        said,
        schedule.zero_terminal_snr,
        " on ".join(filter(None, (checkpoint.sampler, checkpoint.scheduler))),
        {name: _network(source.weights.values()) for name, source in checkpoint.sources.items()},
        checkpoint.metadata,
        licence,
        _needs(checkpoint, config),
        checkpoint.not_honoured,
    )


def _of_lone(path: Path, lone: LoneNetwork) -> Info:
    content = str(lone.kind.content)
    about = Info(path, lone.format, f"{content} alone", metadata=lone.metadata, licence=_licence(lone.metadata))
    networks = {content: _network(lone.source.weights.values())}
    return replace(about, networks=networks, needs=(f"a model to be put into: it is {content} alone",))


def _needs(checkpoint: Checkpoint, config: ModelConfig) -> tuple[str, ...]:
    needs = [] if checkpoint.tokenizers else ["CLIP's vocabulary, from this machine"]
    if config.family == "SDXL refiner":
        needs.append("an SDXL base model, whose pictures it refines")
    of_purpose = {
        "inpainting": "a picture and a mask",
        "InstructPix2Pix": "a picture to edit",
        "depth2img": "a picture and its depth map",
    }
    if config.purpose:
        needs.append(of_purpose[config.purpose])
    return tuple(needs)


def _network(weights: Iterable[Stored]) -> NetworkInfo:
    found = list(weights)
    return NetworkInfo(sum(each.count for each in found), tuple(sorted({each.dtype for each in found})))


_LICENCE = re.compile(r"licen[cs]e|author|usage_hint|copyright|base_model", re.IGNORECASE)


def _licence(metadata: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if _LICENCE.search(key)}


def _card(path: Path) -> dict[str, str]:
    """The plain fields of a model card's front matter that speak of licence and origin."""
    try:
        front = re.match(r"---\n(.*?)\n---", path.read_text(encoding="utf-8"), re.DOTALL)
    except (OSError, UnicodeDecodeError):
        return {}
    lines = (re.match(r"(\w+): *(\S.*)", line) for line in (front[1].splitlines() if front else ()))
    return _licence({match[1]: match[2] for match in lines if match})


def as_json(info: Info, **more: str) -> str:
    """The same as a JSON object, with ``more`` fields."""
    content = {**vars(info), "path": str(info.path), "networks": {k: vars(v) for k, v in info.networks.items()}, **more}
    return json.dumps(content, indent=2, default=dict)
