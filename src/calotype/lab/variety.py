"""Variety: how much pictures differ among themselves, and their cloud from the true one's, in J2's features."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from calotype.data.colours import shade
from calotype.data.layout import ALONE, place_one
from calotype.data.scenes import render
from calotype.data.spec import Spec
from calotype.data.sprites import SpriteBank
from calotype.lab.bootstrap import Estimate, estimate
from calotype.lab.detection import Pictures
from calotype.lab.detector import Detector
from calotype.lab.metrics import frechet_distance, kernel_distance, pairwise_distance

VARIANTS = 8
"""Pictures of one prompt whose variety is measured."""


def diversity(detector: Detector, pictures: Sequence[Pictures], true: Sequence[Pictures]) -> Estimate:
    """D2: for each prompt the mean distance between its pictures' features, over that between true scenes of it."""
    ratios = [
        pairwise_distance(detector.features(some)) / pairwise_distance(detector.features(others))
        for some, others in zip(pictures, true, strict=True)
    ]
    return estimate(ratios)


def true_variants(bank: SpriteBank, spec: Spec, count: int) -> Pictures:
    """True scenes of one thing that differ in all that "a thing on a coloured background" leaves open."""
    rng = random.Random(spec.to_json())
    height, width, _ = bank.by_id[spec.objects[0].sprite].pixels.shape
    variants = []
    for _ in range(count):
        x0, y0, x1, y1 = (spec.size * side for side in place_one(rng, width / height, ALONE))
        thing = replace(spec.objects[0], box=(x0, y0, x1, y1))
        variants.append(render(bank, replace(spec, objects=(thing,), rgb=shade(spec.background, rng))))
    return np.stack(variants)


def distances(detector: Detector, pictures: Pictures, true: Pictures, other_true: Pictures) -> Mapping[str, float]:
    """D1: the Fréchet distance of pictures from true scenes of other prompts, in multiples of that of the true scenes
    of their own prompts; and the unbiased kernel distance, times 1000.
    """
    made, real, other = (detector.features(some) for some in (pictures, true, other_true))
    return {
        "D1 Fréchet": frechet_distance(made, other) / frechet_distance(real, other),
        "D1 KID x 1000": 1000 * kernel_distance(made, other),
    }
