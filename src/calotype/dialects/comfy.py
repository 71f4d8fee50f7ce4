"""ComfyUI's graphs: the plain ones, with one KSampler, as recipes."""

import json
import re
from collections.abc import Iterator
from typing import Any

from calotype.dialects import departures
from calotype.errors import CalotypeError
from calotype.recipe import SAMPLER, Recipe

Node = dict[str, Any]

_FIELDS = {"seed": "seed", "steps": "steps", "cfg": "cfg_scale", "sampler_name": "sampler", "scheduler": "scheduler"}
_EMBEDDING = re.compile(r"\(embedding:[^\s():]+(?::[.\d]+)?\)|\bembedding:[^\s,():]+")
_UNDERSTOOD = {
    "KSampler", "CLIPTextEncode", "CheckpointLoaderSimple", "EmptyLatentImage", "VAEDecode", "SaveImage",
    "PreviewImage", "CLIPSetLastLayer", "RescaleCFG",
}  # fmt: skip


def recipe_of(text: str) -> tuple[Recipe, list[str]]:
    """The recipe that a ``prompt`` graph (JSON in API format) asks for, and what of it cannot be honoured.

    Raises CalotypeError for a graph without exactly one KSampler, and for what is none.
    """
    nodes = _nodes(text)
    samplers = [node for node in nodes.values() if node["class_type"] == "KSampler"]
    if len(samplers) != 1:
        raise CalotypeError(f"the graph has {len(samplers)} KSampler nodes: only graphs with one of them can be read.")
    (sampler,) = samplers
    asked = sampler["inputs"]
    fields: dict[str, Any] = {
        "prompt": _words(nodes, asked.get("positive")),
        "negative_prompt": _words(nodes, asked.get("negative")),
        "prompt_style": "comfyui",
        "sampler": SAMPLER,
    }
    wanted = {field: asked.get(name) for name, field in _FIELDS.items()} | _found(nodes, sampler)
    missed = [
        f"{node['class_type']} (node {name})" for name, node in nodes.items() if node["class_type"] not in _UNDERSTOOD
    ]
    for field, value in wanted.items():
        try:
            Recipe(**{field: value})
            fields[field] = value
        except CalotypeError as error:
            missed.append(str(error))
    for field in ("prompt", "negative_prompt"):
        missed += [f"{named} in the {field.replace('_', ' ')}" for named in _EMBEDDING.findall(fields[field])]
        fields[field] = _EMBEDDING.sub("", fields[field])
    if (denoise := asked.get("denoise", 1)) != 1:
        missed.append(f"denoise {denoise}: below 1 it begins with a picture, which is not in the file")
    if any(node["inputs"].get("batch_size", 1) != 1 for node in _of_class(nodes, "EmptyLatentImage")):
        missed.append("batch_size: only the first picture of a batch has the seed's own noise")
    recipe = Recipe(**fields)
    return recipe, missed + departures.from_comfyui(recipe)


def model_of(text: str) -> tuple[str, str]:
    """The name of the first checkpoint in such a graph, empty without one; graphs tell no hash."""
    names = [node["inputs"].get("ckpt_name", "") for node in _of_class(_nodes(text), "CheckpointLoaderSimple")]
    return (str(names[0]) if names else ""), ""


def _nodes(text: str) -> dict[str, Node]:
    try:
        nodes = json.loads(text)
        whole = all(isinstance(node["inputs"], dict) and isinstance(node["class_type"], str) for node in nodes.values())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise CalotypeError(
            "the graph is no ComfyUI prompt: it should be JSON of nodes, each with class_type and inputs."
        )
    return dict(nodes)


def _found(nodes: dict[str, Node], sampler: Node) -> dict[str, Any]:
    """Fields from the nodes beside the sampler."""
    found: dict[str, Any] = {}
    latent = _linked(nodes, sampler["inputs"].get("latent_image"))
    if latent and latent["class_type"] == "EmptyLatentImage":
        found |= {side: latent["inputs"].get(side) for side in ("width", "height")}
    for node in _of_class(nodes, "CLIPSetLastLayer"):
        layer = node["inputs"].get("stop_at_clip_layer", -1)
        found["clip_skip"] = -layer if isinstance(layer, int) else layer  # a link stays one
    for node in _of_class(nodes, "RescaleCFG"):
        found["cfg_rescale"] = node["inputs"].get("multiplier", 0.7)
    return found


def _of_class(nodes: dict[str, Node], name: str) -> Iterator[Node]:
    return (node for node in nodes.values() if node["class_type"] == name)


def _linked(nodes: dict[str, Node], link: Any) -> Node | None:
    """The node at the other end of a link, which is [name, output]."""
    return nodes.get(str(link[0])) if isinstance(link, list) and link else None


def _words(nodes: dict[str, Node], link: Any) -> str:
    """The text of a condition, or of a node that holds text, however many nodes lie between."""
    for _ in nodes:
        node = _linked(nodes, link)
        if node is None:
            break
        inputs = node["inputs"]
        value = next((inputs[key] for key in ("text", "string", "value") if key in inputs), None)
        if isinstance(value, str):
            return value
        links = [other for other in inputs.values() if isinstance(other, list)]
        link = value or next((other for other in links if _linked(nodes, other)), None)
    return ""
