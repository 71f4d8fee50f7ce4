import json
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from calotype import api
from calotype.configs import EMBEDDED, ImageConfig
from calotype.errors import CalotypeError
from calotype.lab import detector, suite
from calotype.lab.measurements import autoencoder_measurement, distinct_scenes, text_measurement
from calotype.lab.suite import EvaluationPlan
from calotype.lab.towers import CLIP_RUN, towers
from calotype.lab.variety import true_variants
from calotype.recipe import Recipe
from calotype.training import product
from calotype.training.checkpoint import weights_hash
from calotype.training.clip import Contrastive
from calotype.training.run_file import read, run_dir

RUNS = Path(__file__).parents[2] / "runs" / "embedded"


@pytest.fixture
def cache(bank, tmp_path, monkeypatch):
    monkeypatch.setenv("CALOTYPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(detector, "BATCH", 2)
    monkeypatch.setattr(detector, "STEPS", 2)
    monkeypatch.setattr(suite, "MEMORY", (((0.5, 0.5, 0.0), 0, 60), ((0.0, 0.0, 1.0), 8, 40)))
    monkeypatch.setattr(suite, "VARIANTS", 2)
    list(detector.train(bank, 2))


def run(studio, bank, folder, *parts, prompt_seed=0):
    plan = EvaluationPlan(
        Recipe(prompt="", seed=0, steps=1), parts, scenes=3, prompts=2, varied=1, prompt_seed=prompt_seed
    )
    stages = [progress.stage for progress in suite.evaluate(studio, plan, bank, folder)]
    return stages, json.loads((folder / "table.json").read_text())


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """The embedded model's form with the text encoder that a run trained, exported in float16."""
    monkeypatch.setenv("CALOTYPE_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)
    trained = Contrastive(EMBEDDED.text[0], ImageConfig())
    product.save(CLIP_RUN, trained)
    rounded = deepcopy(trained.text).half().float()
    return SimpleNamespace(config=EMBEDDED, text_encoders=(rounded,))


def test_the_towers_are_the_models_text_encoder_and_the_image_tower_of_its_run(shipped):
    found = towers(shipped)
    assert weights_hash(found.text) == weights_hash(shipped.text_encoders[0])
    trained = Contrastive(EMBEDDED.text[0], ImageConfig())
    product.load(CLIP_RUN, trained)
    assert weights_hash(found.image, found.projection) == weights_hash(trained.image, trained.projection)


@pytest.mark.parametrize("instead", ["another model", "another training", "no training"])
def test_the_image_tower_of_another_text_encoder_is_refused(shipped, tiny_folder, instead):
    model = api.load(tiny_folder) if instead == "another model" else shipped
    if instead == "another training":
        product.save(CLIP_RUN, Contrastive(EMBEDDED.text[0], ImageConfig()))
    if instead == "no training":
        (run_dir(CLIP_RUN) / "weights.safetensors").unlink()
    with pytest.raises(CalotypeError, match="no image tower that learned beside this model's text encoder"):
        towers(model)


def test_what_cannot_be_measured_is_said_and_the_rest_goes_on(bank, cache, tmp_path, tiny_folder):
    _, content = run(api.load(tiny_folder), bank, tmp_path / "out", "text", "oracle")
    (absent,) = content["not_measured"]
    assert absent["part"] == "text" and "no image tower" in absent["reason"]
    assert {figure["source"] for figure in content["figures"]} == {"true", "oracle", "memoriser"}
    assert len(list((tmp_path / "out" / "true").rglob("*.png"))) == 20


def test_questions_that_the_test_has_used_up_are_said(bank, cache, tmp_path, tiny_folder):
    _, content = run(api.load(tiny_folder), bank, tmp_path / "out", "oracle", prompt_seed=1)
    absences = {absent["part"]: absent["reason"] for absent in content["not_measured"]}
    assert absences == dict.fromkeys(
        ["single-held_out", "counting-held_out"], "2 of 2 prompts: no more than 0 are none of the test's."
    )


def test_a_whole_model_is_measured_and_no_picture_made_twice(bank, cache, tmp_path, tiny_folder):
    studio = api.load(tiny_folder)
    _, first = run(studio, bank, tmp_path, "vae", "oracle", "pictures")
    assert {figure["source"] for figure in first["figures"]} == {"true", "oracle", "model", "memoriser", "shuffled"}
    pictures = sorted((tmp_path / "model").rglob("*.png"))
    assert len(pictures) == 20 + 2
    made = [path.stat().st_mtime_ns for path in pictures]
    pictures[3].write_bytes(b"damaged")
    _, second = run(studio, bank, tmp_path, "vae", "oracle", "pictures")
    assert second == first
    again = [path.stat().st_mtime_ns for path in pictures]
    assert [old == new for old, new in zip(made, again, strict=True)] == [index != 3 for index in range(22)]


def test_the_memoriser_knows_what_the_embedded_model_learned_from():
    phases = read(RUNS / "anew.toml").phases
    whole = {
        (phase.counts, phase.grid): phase.scenes
        for phase in sorted(phases, key=lambda phase: phase.scenes)
        if phase.size == 128
    }
    assert {(counts, grid): number for counts, grid, number in suite.MEMORY} == whole


class Lighter(torch.nn.Module):
    """An autoencoder that makes everything one level lighter."""

    class config:
        sample_size, scaling_factor = 128, 1.0

    def encode(self, images):
        from calotype.nn.vae import Gaussian

        return Gaussian(images, torch.zeros_like(images))

    def decode(self, latents):
        return latents + 1 / 127.5


def finished(part):
    while True:
        try:
            next(part)
        except StopIteration as stop:
            return {figure.metric: figure.estimate.value for figure in stop.value if figure.source != "true"}


def test_an_autoencoder_of_known_error(bank, matcher):
    learned = detector.Detector(bank, detector.Network(len(bank.sprites)))
    figures = finished(autoencoder_measurement(Lighter(), bank, {"J1": matcher}, learned, 4))
    assert figures["V1 PSNR"] == pytest.approx(20 * np.log10(255), abs=0.3)  # white cannot get lighter
    assert figures["V1 PSNR, boxes"] == pytest.approx(20 * np.log10(255), abs=0.5)
    assert figures["V2 SSIM"] == pytest.approx(1, abs=1e-3)
    assert 0 < figures["V2 feature distance"] < 0.05
    assert figures["V3 things named"] >= 0.75


class Telling:
    """Towers that know every scene and caption by heart: the vector of a picture is that of its own caption."""

    def __init__(self, scenes):
        self.vectors = dict(
            zip([scene.caption for scene in scenes], np.eye(len(scenes), dtype=np.float32), strict=True)
        )
        self.by_picture = {scene.image.tobytes(): self.vectors[scene.caption] for scene in scenes}

    def of_images(self, pixels):
        return torch.tensor(np.stack([self.by_picture[p.permute(1, 2, 0).numpy().tobytes()] for p in pixels]))

    def of_texts(self, texts):
        zero = np.zeros(len(self.vectors), np.float32)
        return torch.tensor(
            np.stack([self.vectors.get("".join(map(chr, row[row > 0])), zero) for row in texts.numpy()])
        )


class Letters:
    def encode(self, text):
        return torch.tensor([[*map(ord, text), *([0] * (200 - len(text)))]])


def test_perfect_towers_find_everything(bank, monkeypatch):
    from calotype.data.scenes import World
    from calotype.lab import measurements

    monkeypatch.setattr(measurements, "RETRIEVED", 12)
    towers = Telling(distinct_scenes(World(bank), 12))
    halfway = text_measurement(towers, Letters(), bank)
    next(halfway)
    assert not torch.is_inference_mode_enabled()
    halfway.close()
    figures = finished(text_measurement(towers, Letters(), bank))
    assert figures == {"C1 caption found": 1, "C1 picture found": 1, "C2 near miss told": 1}


def test_variants_differ_in_place_and_keep_the_thing(bank, matcher, singles):
    spec = next(s.spec for s in singles if s.spec.objects[0].sprite == "drawn-square")
    pictures = true_variants(bank, spec, 4)
    found = matcher(pictures)
    assert [[d.sprite for d in seen] for seen in found] == [["drawn-square"]] * 4
    assert np.ptp([seen[0].box for seen in found], axis=0).max() > 8
