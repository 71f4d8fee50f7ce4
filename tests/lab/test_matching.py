from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from calotype.data.colours import COLOURS
from calotype.data.scenes import World, render
from calotype.lab.matching import background
from calotype.lab.measurements import share_named


def names(detections):
    return Counter(detection.sprite for detection in detections)


def truth(scene):
    return Counter(thing.sprite for thing in scene.spec.objects)


def test_single_things_are_named_and_found(matcher, singles):
    found = matcher(np.stack([scene.image for scene in singles]))
    right = [names(seen) == truth(scene) for scene, seen in zip(singles, found, strict=True)]
    assert np.mean(right) >= 0.95
    for scene, seen, fine in zip(singles, found, right, strict=True):
        if fine:
            assert np.abs(np.subtract(seen[0].box, scene.spec.objects[0].box)).max() < 8


@pytest.mark.parametrize("count", [2, 3])
def test_several_things_are_named(matcher, bank, count):
    world = World(bank, counts=[float(n == count) for n in (1, 2, 3)])
    scenes = [world.scene(seed, "any") for seed in range(20)]
    found = matcher(np.stack([scene.image for scene in scenes]))
    assert np.mean([share_named(scene.spec, seen) for scene, seen in zip(scenes, found, strict=True)]) >= 0.9


@pytest.mark.parametrize("name", ["drawn-square", "drawn-star"])
def test_the_background_decides_nothing(matcher, bank, singles, name):
    """One scene on all twelve colours: everywhere the same thing in the same place."""
    scene = next(scene for scene in singles if scene.spec.objects[0].sprite == name)
    specs = [replace(scene.spec, rgb=rgb) for rgb in COLOURS.values()]
    found = matcher(np.stack([render(bank, spec) for spec in specs]))
    assert [names(seen) for seen in found] == len(COLOURS) * [truth(scene)]
    assert np.ptp([seen[0].box for seen in found], axis=0).max() <= 2


def test_blur_and_noise_are_forgiven(matcher, singles, rng):
    pictures = np.stack([scene.image for scene in singles[:20]]).astype(float)
    blurred = sum(np.roll(pictures, (dy, dx), (1, 2)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)) / 9
    noisy = (blurred + rng.normal(0, 8, pictures.shape)).clip(0, 255).astype(np.uint8)
    right = [names(seen) == truth(scene) for scene, seen in zip(singles, matcher(noisy), strict=False)]
    assert np.mean(right) >= 0.95


def test_nothing_is_found_where_nothing_is(matcher):
    assert matcher(np.full((2, 128, 128, 3), 90, np.uint8)) == [[], []]


def test_the_scores_fall_with_the_likeness(matcher, singles):
    scene = next(scene for scene in singles if scene.spec.objects[0].sprite == "drawn-square")
    faded = (0.7 * scene.image + 0.3 * np.array(scene.spec.rgb)).astype(np.uint8)
    (sharp,), (pale,) = matcher(np.stack([scene.image, faded]))
    assert sharp.score > 0.85 > pale.score


def test_the_background_is_the_scenes_own(singles):
    assert all(np.abs(background(scene.image) - scene.spec.rgb).max() <= 1 for scene in singles)
