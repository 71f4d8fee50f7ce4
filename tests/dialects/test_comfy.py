import json

import pytest

from calotype.dialects.comfy import model_of, recipe_of
from calotype.recipe import Recipe
from graphs import GRAPH, changed, stopping_at

LINK = ["9", 0]
"""Where a number stands otherwise: the output of another node."""


def test_a_plain_graph_is_read() -> None:
    recipe, missed = recipe_of(json.dumps(GRAPH))
    assert recipe == Recipe(
        prompt="a cat", negative_prompt="text", seed=5, steps=12, cfg_scale=6.5, sampler="DPM++ 2M", scheduler="karras",
        width=512, height=640, prompt_style="comfyui",
    )  # fmt: skip
    assert len(missed) == 1
    assert model_of(json.dumps(GRAPH)) == ("v1-5.safetensors", "")


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        (changed("3", denoise=0.5), "denoise 0.5"),
        (changed("5", batch_size=2), "batch_size"),
        (changed("3", seed=LINK), "seed is ['9', 0]"),
        (changed("3", denoise=LINK), "denoise ['9', 0]: below 1"),
        (changed("5", batch_size=LINK), "batch_size"),
        (stopping_at(LINK), "clip_skip is ['9', 0]"),
        (changed("3", sampler_name="seeds_9"), "unknown sampler"),
        (changed("3", steps=0), "steps is 0"),
        (json.dumps({**GRAPH, "10": {"class_type": "FreeU", "inputs": {}}}), "FreeU (node 10)"),
        (changed("3", sampler_name="euler_ancestral"), "another seed"),
        (changed("3", scheduler="beta"), "over time"),
    ],
)
def test_what_of_a_graph_cannot_be_honoured_is_listed(text: str, listed: str) -> None:
    lines = recipe_of(text)[1]
    assert len(lines) == 2
    assert any(listed in line for line in lines)


@pytest.mark.parametrize(
    ("asked", "listed"),
    [
        ({"sampler_name": "ddim"}, []),
        ({"scheduler": "ddim_uniform", "steps": 20}, []),
        ({"scheduler": "ddim_uniform", "steps": 19, "sampler_name": "dpm_2"}, []),
        ({"scheduler": "ddim_uniform", "steps": 30}, ["31 at 30 steps in other programs, here 30"]),
        ({"scheduler": "simple", "sampler_name": "ddim"}, ["the end of DDIM: ComfyUI's is 0"]),
        (
            {"scheduler": "ddim_uniform", "steps": 20, "sampler_name": "ddim"},
            ["ComfyUI's is sigma, here it is sqrt", "the end of DDIM"],
        ),
        ({"sampler_name": "uni_pc"}, ["UniPC: ComfyUI leaves out the last but one"]),
        (
            {"sampler_name": "dpmpp_3m_sde"},
            ["the first noise's size", "DPM++ 3M SDE: ComfyUI's have the last but one", "another seed"],
        ),
        ({"sampler_name": "dpm_2"}, ["the first noise's size"]),
        ({"sampler_name": "deis"}, ["the first noise's size", "the polynomials of DEIS: ComfyUI's are over time"]),
        ({"sampler_name": "uni_pc_bh2"}, ["UniPC bh2: ComfyUI leaves out the last but one"]),
    ],
    ids=str,
)
def test_levels_that_comfyui_has_otherwise_are_listed(asked: dict[str, object], listed: list[str]) -> None:
    lines = recipe_of(changed("3", **asked))[1]
    assert len(lines) == len(listed)
    assert all(expected in line for expected, line in zip(listed, lines, strict=True))


def test_nodes_between_are_followed_and_the_layer_is_read() -> None:
    graph = {
        **json.loads(changed("6", text=["11", 0])),
        "12": json.loads(stopping_at(-2))["12"],
        "11": {"class_type": "PrimitiveString", "inputs": {"value": "a dog"}},
    }
    recipe, _ = recipe_of(json.dumps(graph))
    assert (recipe.prompt, recipe.clip_skip) == ("a dog", 2)
