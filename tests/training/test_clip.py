import numpy as np
import pytest
import torch

from calotype.configs import PRESETS
from calotype.data.banks import drawn_bank
from calotype.data.negatives import negatives
from calotype.text.tokenizer import Tokenizer
from calotype.training import clip, tokenizer
from calotype.training.clip import NEGATIVES, ClipTask
from calotype.training.run_file import Phase


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    return Tokenizer.of(*tokenizer.learn(["a cat on a blue background", "two dogs"], 700))


@pytest.fixture
def task(words: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> ClipTask:
    monkeypatch.setattr(clip, "EVALUATED", 12)
    return ClipTask(PRESETS["tiny"].text[0], words, drawn_bank(), torch.device("cpu"))


PHASE = Phase(size=64, batch=3, steps=1, lr=(0, 0))


def test_captions_match_their_pictures_and_negatives_do_not(task: ClipTask) -> None:
    from calotype.data.scenes import World
    from calotype.training import scenes

    batch = task.batch(PHASE, np.random.default_rng(4))
    drawn = scenes.draw(World(drawn_bank(), 64), np.random.default_rng(4), 3)
    assert torch.equal(batch["images"], scenes.images(drawn))
    said = [task.tokenizer.encode(scene.caption)[0].tolist() for scene in drawn]
    assert batch["captions"].tolist() == said
    assert len(batch["negatives"]) == 3 * NEGATIVES
    assert not [row for row in batch["negatives"].tolist() if row in said]


def test_what_stands_after_the_end_is_not_looked_at(task: ClipTask) -> None:
    """Cutting the padding off changes nothing."""
    tokens = torch.cat([task.tokenizer.encode(text) for text in ("a cat", "two dogs on a blue background")])
    cut = task.module.of_texts(tokens)
    whole = torch.nn.functional.normalize(task.module.projection(task.module.text(tokens).pooled), dim=-1)
    torch.testing.assert_close(cut, whole, atol=1e-6, rtol=0)


def test_the_loss_in_closed_form(task: ClipTask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pictures, their captions and one false caption each, with given vectors; the scale is 1 / 0.07."""
    angles = torch.tensor([0.0, 1.2])
    texts = torch.tensor([0.1, 1.0, 0.5, 2.0])
    for name, angle in (("of_images", angles), ("of_texts", texts)):
        monkeypatch.setattr(task.module, name, lambda _, a=angle: torch.stack([a.cos(), a.sin()], 1))
    scores = (angles[:, None] - texts).cos() / 0.07
    to_text = -scores.log_softmax(1)[[0, 1], [0, 1]].mean()
    to_image = -scores[:, :2].log_softmax(0)[[0, 1], [0, 1]].mean()
    empty = torch.zeros(1, 1, dtype=torch.long)
    loss, parts = task.loss({"images": empty, "captions": empty, "negatives": empty}, torch.Generator())
    assert loss.item() == pytest.approx((to_text + to_image).item() / 2, rel=1e-5)
    assert parts["found"] == 1


def test_the_scale_stops_at_100(task: ClipTask) -> None:
    with torch.no_grad():
        task.module.log_scale.fill_(9.0)
    assert task.module.scale == 100


def test_figures_of_a_perfect_encoder_and_of_an_ignorant_one(task: ClipTask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Perfect: a caption's vector is one-hot at its place, and so is its picture's."""
    from calotype.data.scenes import World
    from calotype.training import scenes

    held_out = scenes.held_out(World(drawn_bank(), 64), 12)
    places = list(dict.fromkeys(scene.caption for scene in held_out))
    assert all(set(negatives(scene.spec, index)).isdisjoint([scene.caption]) for index, scene in enumerate(held_out))

    def of(texts: list[str], default: int) -> torch.Tensor:
        rows = [places.index(text) if text in places else default for text in texts]
        return torch.nn.functional.one_hot(torch.tensor(rows), len(places) + 1).float()

    monkeypatch.setattr(task, "_images", lambda drawn: of([scene.caption for scene in drawn], -1))
    monkeypatch.setattr(task, "_texts", lambda texts: of(texts, len(places)))
    assert task.evaluate(PHASE) == {"caption_found": 1, "picture_found": 1, "told_apart": 1}
    monkeypatch.setattr(task, "_texts", lambda texts: torch.ones(len(texts), len(places) + 1))
    figures = task.evaluate(PHASE)
    assert figures["told_apart"] == 0 and figures["caption_found"] < 0.5


def test_it_learns(task: ClipTask) -> None:
    """A few steps on one small batch tell its captions from each other and from the false ones."""
    batch = task.batch(Phase(size=64, batch=6, steps=1, lr=(0, 0)), np.random.default_rng(0))
    optimizer = torch.optim.Adam(task.module.parameters(), 2e-3)
    for _ in range(25):
        loss, parts = task.loss(batch, torch.Generator())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert parts["found"] == 1
