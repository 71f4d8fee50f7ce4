"""What can be measured without a U-Net: the autoencoder and the text encoder.

A measurement is a generator of its progress that returns its figures.
"""

# torch leaves some methods of tensors untyped.
# mypy: disable-error-code="no-untyped-call"

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from calotype.data.captions import caption
from calotype.data.negatives import negatives
from calotype.data.scenes import Scene, World, foreground
from calotype.data.spec import Spec
from calotype.data.sprites import SpriteBank
from calotype.imaging.pixels import to_levels, to_unit
from calotype.lab import metrics
from calotype.lab.bootstrap import estimate, share
from calotype.lab.detection import Detection, Judge, Pictures
from calotype.lab.detector import Detector
from calotype.lab.matching import SIZE
from calotype.lab.progress import Progress
from calotype.lab.table import Figure, Source
from calotype.nn.vae import Autoencoder, Gaussian
from calotype.text.tokenizer import Tokenizer
from calotype.training.clip import Contrastive
from calotype.training.scenes import images

SEEDS = 7_000_000_000
"""Where the seeds of the judged scenes begin: apart from those of every other purpose."""
RETRIEVED = 256
"""Among how many the right caption, or picture, has to be found."""

Measurement = Generator[Progress, None, list[Figure]]


def autoencoder_measurement(
    vae: Autoencoder, bank: SpriteBank, judges: Mapping[str, Judge], learned: Detector, count: int
) -> Measurement:
    """V1 to V3 on ``count`` scenes of held-out combinations; ``learned`` is J2, for its features."""
    world = World(bank, SIZE)
    scenes = [world.scene(SEEDS + index, "held_out") for index in range(count)]
    originals = np.stack([scene.image for scene in scenes])
    copies, posteriors = [], []
    for copy, posterior in round_trip(vae, originals):
        copies.append(copy)
        posteriors.append(posterior)
        yield Progress("autoencoder", len(copies), count)
    pairs = list(zip(copies, originals, strict=True))
    latents = torch.stack([posterior.mode for posterior in posteriors])
    boxes = [foreground(scene.spec) for scene in scenes]
    values = {
        "V1 PSNR": [metrics.psnr(*pair) for pair in pairs],
        "V1 PSNR, boxes": [metrics.psnr(*pair, mask) for pair, mask in zip(pairs, boxes, strict=True)],
        "V2 SSIM": [metrics.ssim(*pair) for pair in pairs],
        "V2 latent deviation": [float(latents.std()) * vae.config.scaling_factor],
        "V2 divergence per number": [float(p.kl().sum() / p.mean.numel()) for p in posteriors],
    }
    answers: dict[Source, Pictures] = {"true": originals, "oracle": np.stack(copies)}
    figures = [Figure(name, "oracle", estimate(value)) for name, value in values.items()]
    apart = learned.differences(answers["oracle"], originals)
    figures.append(Figure("V2 feature distance", "oracle", estimate(apart.tolist()), "J2"))
    for name, judge in judges.items():
        yield Progress(f"{name} on the autoencoder", count, count)
        for source, pictures in answers.items():
            shares = [share_named(s.spec, found) for s, found in zip(scenes, judge(pictures), strict=True)]
            figures.append(Figure("V3 things named", source, share(shares), name))
    return figures


@torch.inference_mode()
def text_measurement(towers: Contrastive, tokenizer: Tokenizer, bank: SpriteBank) -> Measurement:
    """C1 and C2 on RETRIEVED scenes of held-out combinations with different captions."""
    scenes = distinct_scenes(World(bank, SIZE), RETRIEVED)
    pictures = torch.cat([towers.of_images(some) for some in images(scenes).split(32)]).numpy()
    texts = _of_texts(towers, tokenizer, [scene.caption for scene in scenes])
    told = []
    for index, scene in enumerate(scenes):
        yield Progress("near misses", index, len(scenes))
        false = _of_texts(towers, tokenizer, negatives(scene.spec, SEEDS + index))
        told.append(float((texts[index] @ pictures[index] > false @ pictures[index]).mean()))
    by_picture, by_caption = metrics.found_at_1(pictures @ texts.T)
    values = {"C1 caption found": by_picture, "C1 picture found": by_caption, "C2 near miss told": told}
    return [Figure(name, "model", share(value), split="held out") for name, value in values.items()]


@torch.inference_mode()
def round_trip(vae: Autoencoder, pictures: Pictures) -> Iterator[tuple[NDArray[np.uint8], Gaussian]]:
    """Each picture (b, h, w, 3) through the autoencoder, by way of the likeliest latent, and the distribution of it."""
    for some in torch.from_numpy(pictures).permute(0, 3, 1, 2).split(8):
        posterior = vae.encode(to_unit(some))
        copies = to_levels(vae.decode(posterior.mode)).permute(0, 2, 3, 1).numpy()
        for copy, mean, logvar in zip(copies, posterior.mean, posterior.logvar, strict=True):
            yield copy, Gaussian(mean[None], logvar[None])


def distinct_scenes(world: World, count: int) -> list[Scene]:
    """The first ``count`` held-out scenes no two of which have the same caption."""
    found: dict[str, Scene] = {}
    seed = SEEDS
    while len(found) < count:
        spec = world.spec(seed, "held_out")
        if caption(spec) not in found:
            found[caption(spec)] = world.scene(seed, "held_out")
        seed += 1
    return list(found.values())


def share_named(spec: Spec, found: Sequence[Detection]) -> float:
    """The share of a scene's things that were found and rightly named."""
    wanted = Counter(thing.sprite for thing in spec.objects)
    return (wanted & Counter(detection.sprite for detection in found)).total() / wanted.total()


def _of_texts(towers: Contrastive, tokenizer: Tokenizer, texts: Sequence[str]) -> NDArray[np.float32]:
    vectors: NDArray[np.float32] = towers.of_texts(torch.cat([tokenizer.encode(text) for text in texts])).numpy()
    return vectors
