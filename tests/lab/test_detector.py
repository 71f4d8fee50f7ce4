from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from calotype.data.spec import Object
from calotype.data.sprites import SpriteBank
from calotype.errors import CalotypeError
from calotype.lab import detector


@pytest.fixture
def trained(bank, tmp_path, monkeypatch):
    monkeypatch.setenv("CALOTYPE_CACHE", str(tmp_path))
    monkeypatch.setattr(detector, "BATCH", 4)
    steps = list(detector.train(bank, steps=3))
    assert [(p.done, p.total) for p in steps] == [(1, 3), (2, 3), (3, 3)]
    return detector.load(bank)


def test_training_writes_what_load_reads(trained, bank, singles):
    pictures = np.stack([scene.image for scene in singles[:3]])
    assert trained.features(pictures).shape == (3, 96)
    assert len(trained(pictures)) == 3
    assert detector.path(bank).exists()


def test_scenes_drawn_in_another_way_have_a_judge_of_their_own(bank, tmp_path, monkeypatch):
    monkeypatch.setenv("CALOTYPE_CACHE", str(tmp_path))
    before = detector.path(bank)
    assert detector.path(bank) == before
    monkeypatch.setattr("calotype.data.scenes.shade", lambda name, rng: (1, 2, 3))
    assert detector.path(bank) != before


def test_differences_in_closed_form(bank):
    """Layers that change nothing show a picture's colour itself: |u - v|^2 of the unit colours, once per layer."""
    network = detector.Network(len(bank.sprites))
    network.trunk = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Identity())
    judge = detector.Detector(bank, network)
    one, other = (np.full((1, 16, 24, 3), colour, np.uint8) for colour in ((192, 128, 128), (192, 192, 128)))
    unit_one, unit_other = np.array([1, 0, 0]), np.array([1, 1, 0]) / np.sqrt(2)  # of pixels / 64 - 2
    assert judge.differences(one, other) == pytest.approx([2 * ((unit_one - unit_other) ** 2).sum()])
    half = one.copy()
    half[:, :8] = other[:, :8]
    assert judge.differences(half, one) == pytest.approx(judge.differences(other, one) / 2)


def test_differences_rise_with_blur(bank, singles):
    torch.manual_seed(0)
    judge = detector.Detector(bank, detector.Network(len(bank.sprites)))
    pictures = np.stack([scene.image for scene in singles[:8]])
    blurred = [
        np.stack([np.asarray(Image.fromarray(p).filter(ImageFilter.GaussianBlur(sigma))) for p in pictures])
        for sigma in (0.5, 1, 2)
    ]
    none, *apart = (judge.differences(some, pictures) for some in (pictures, *blurred))
    assert not none.any() and none.shape == (8,)
    assert all((less < more).all() for less, more in pairwise([none, *apart]))


def test_half_a_training_leaves_nothing(bank, tmp_path, monkeypatch):
    monkeypatch.setenv("CALOTYPE_CACHE", str(tmp_path))
    monkeypatch.setattr(detector, "BATCH", 2)
    next(detector.train(bank, steps=3))
    assert not detector.path(bank).exists()


def test_the_answers_that_training_wants_are_read_as_the_things(bank):
    """Targets written into the head's answers come back as the boxes and sprites they stand for."""
    ids = [sprite.id for sprite in bank.sprites]
    things = (Object(ids[3], "", (10.5, 20.0, 50.0, 71.25)), Object(ids[7], "", (70.0, 60.0, 118.0, 92.0)))
    _, rows, columns, place, kind = detector._targets([things], {name: index for index, name in enumerate(ids)})
    answers = torch.full((1, 5 + len(ids), 16, 16), -9.0)
    for row, column, where, which in zip(rows, columns, place, kind, strict=True):
        answers[0, 0, row, column] = 9.0
        answers[0, 1:5, row, column] = where
        answers[0, 5 + which, row, column] = 9.0
    (found,) = detector.Detector(bank, detector.Network(len(ids)))._read(answers)
    assert sorted((d.sprite, *np.round(d.box, 3)) for d in found) == sorted(
        (t.sprite, *np.float32(t.box)) for t in things
    )


def test_it_learns(bank, tmp_path, monkeypatch):
    monkeypatch.setenv("CALOTYPE_CACHE", str(tmp_path))
    monkeypatch.setattr(detector, "BATCH", 8)
    few = SpriteBank(bank.style, bank.sprites[:3])
    losses, told = [], detector._loss
    monkeypatch.setattr(detector, "_loss", lambda *given: losses.append(told(*given)) or losses[-1])
    assert [progress.done for progress in detector.train(few, steps=12)] == list(range(1, 13))
    losses = [loss.item() for loss in losses]
    assert np.mean(losses[-3:]) < 0.7 * np.mean(losses[:3])


def test_a_damaged_file_is_named(bank, tmp_path, monkeypatch):
    monkeypatch.setenv("CALOTYPE_CACHE", str(tmp_path))
    detector.path(bank).write_bytes(b"x")
    with pytest.raises(CalotypeError, match="is damaged or of another kind: remove it"):
        detector.load(bank)


def test_damage_changes_a_picture_a_little(singles, rng):
    picture = singles[0].image
    damaged = detector.damaged(picture, rng)
    assert damaged.shape == picture.shape and damaged.dtype == np.uint8
    assert 0 < np.abs(damaged.astype(int) - picture).mean() < 40
