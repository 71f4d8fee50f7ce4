"""A plain graph of ComfyUI's, and others like it."""

import json

GRAPH = {
    "3": {"class_type": "KSampler", "inputs": {
        "seed": 5, "steps": 12, "cfg": 6.5, "sampler_name": "dpmpp_2m", "scheduler": "karras", "denoise": 1,
        "model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "v1-5.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 640, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "text", "clip": ["4", 1]}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0]}},
}  # fmt: skip


def changed(node: str, **inputs: object) -> str:
    return json.dumps({**GRAPH, node: {**GRAPH[node], "inputs": {**GRAPH[node]["inputs"], **inputs}}})


def stopping_at(layer: object) -> str:
    node = {"class_type": "CLIPSetLastLayer", "inputs": {"clip": ["4", 1], "stop_at_clip_layer": layer}}
    return json.dumps({**GRAPH, "12": node})


def rescaling(multiplier: float) -> str:
    node = {"class_type": "RescaleCFG", "inputs": {"model": ["4", 0], "multiplier": multiplier}}
    return json.dumps({**GRAPH, "12": node})
