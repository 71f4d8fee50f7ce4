"""SD 2.1 and SDXL at the widths that were published, less deep: heads of 64, OpenCLIP's encoders, SDXL's sizes."""

from dataclasses import replace

import pytest
import torch

from calotype.configs import CLIP_L_PENULTIMATE, OPENCLIP_BIGG, OPENCLIP_H, SD21, SDXL
from parity.pairs import REFINER, TOLERANCE, distance, text_distances, text_pair, unet_input, unet_pair

pytestmark = pytest.mark.slow

UNETS = {
    "sd21": replace(SD21.unet, layers_per_block=1),
    "sdxl": replace(SDXL.unet, layers_per_block=1, transformer_depth=(0, 1, 2), mid_depth=2),
    "refiner": replace(REFINER.unet, layers_per_block=1, transformer_depth=(0, 1, 1, 0), mid_depth=1),
}
TEXTS = {"sd21": OPENCLIP_H, "sdxl, first": CLIP_L_PENULTIMATE, "sdxl, second, and the refiner's": OPENCLIP_BIGG}


@pytest.mark.parametrize("name", UNETS)
@torch.no_grad()
def test_unet(name: str) -> None:
    ours, theirs = unet_pair(UNETS[name])
    arguments = unet_input(UNETS[name], 8, 8, numbers=5 if name == "refiner" else 6)
    assert distance(ours(*arguments), theirs(*arguments)) <= TOLERANCE


@pytest.mark.parametrize("name", TEXTS)
@torch.no_grad()
def test_text(name: str) -> None:
    """The pooled output, and the context at each number of layers left out: the last, the penultimate, the first."""
    config = replace(TEXTS[name], num_layers=3)
    end = config.vocab_size - 1
    tokens = torch.randint(0, end, (2, 77), generator=torch.Generator().manual_seed(2))
    tokens[0, 9:], tokens[1, -1] = end, end
    assert max(text_distances(*text_pair(config), tokens)) <= TOLERANCE
