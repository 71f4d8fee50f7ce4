from dataclasses import replace

import numpy as np
import pytest

from calotype.data.scenes import render
from calotype.lab.bootstrap import Estimate
from calotype.lab.detection import Detection
from calotype.lab.questions import Question, grade, questions, shares, summaries
from calotype.lab.table import Figure


@pytest.fixture(scope="module")
def asked(bank) -> list[Question]:
    return questions(bank, 12, seed=0)


def perfect(specs):
    """A judge that knows the truth of the pictures it is shown, in their order."""
    return lambda pictures: [[Detection(thing.sprite, thing.box, 1.0) for thing in spec.objects] for spec in specs]


def test_every_category_is_asked_of_both_splits(asked):
    assert [q.name for q in asked[:4]] == ["single-train", "single-held_out", "two-train", "two-held_out"]
    assert len(asked) == 10 and all(len(q.prompts) == len(q.specs) == 12 for q in asked)


def test_a_perfect_model_is_perfect_and_its_shuffle_at_chance(bank, asked):
    for question in asked:
        true = np.stack([render(bank, spec) for spec in question.specs])
        for figure in grade(question, true, {"J": perfect(question.specs)}, "model"):
            if figure.source == "model":
                assert figure.estimate.value == 1
            elif "both there" not in figure.metric:
                assert figure.estimate.value <= 0.35  # 24 things, 12 colours, 12 prompts


def test_several_pictures_of_a_prompt_are_one_observation():
    assert shares([True, False, True, True], 2) == [0.5, 1.0]


def test_copies_are_judged_by_their_own_prompt(bank, asked):
    question = asked[0]
    twice = [spec for spec in question.specs for _ in range(2)]
    pictures = np.stack([render(bank, spec) for spec in twice])
    (own, shuffled) = grade(question, pictures, {"J": perfect(twice)}, "model")
    assert own.estimate.value == 1 and shuffled.estimate.value < 0.35


def test_several_pictures_of_a_prompt_do_not_narrow_the_interval_of_the_places(bank, asked):
    question = next(question for question in asked if question.category == "position")
    turned = [replace(spec, objects=spec.objects[::-1]) for spec in question.specs[::2]]
    shown = [spec for pair in zip(turned, question.specs[1::2], strict=True) for spec in pair]

    def placed(copies):
        specs = [
            replace(
                spec, objects=tuple(replace(o, box=t.box) for o, t in zip(spec.objects, other.objects, strict=True))
            )
            for spec, other in zip(question.specs, shown, strict=True)
            for _ in range(copies)
        ]
        figures = grade(question, np.zeros((len(specs), 8, 8, 3), np.uint8), {"J": perfect(specs)}, "true")
        return next(figure.estimate for figure in figures if "both there" in figure.metric)

    assert placed(1) == placed(4)
    assert placed(1).value == 0.5


def test_summaries():
    def figures(split, source, values):
        for metric, value in values.items():
            judge = "" if metric == "G4 background" else "J1"
            yield Figure(metric, source, Estimate(value, value, value, 1), judge, split)

    titles = ["G1 single", "G2 two", "G3 position", "G4 background", "G6 counting"]
    given = [
        *figures("seen", "model", dict(zip(titles, [1.0, 0.5, 0.5, 1.0, 1.0], strict=True))),
        *figures("held out", "model", dict(zip(titles, [0.8, 0.3, 0.3, 1.0, 0.8], strict=True))),
        *figures("seen", "shuffled", dict.fromkeys(titles, 0.1)),
        Figure("G3 position, both there", "model", Estimate(0, 0, 0, 1), "J1", "seen"),
    ]
    found = {(f.metric, f.split): f.estimate.value for f in summaries(given)}
    assert found == {
        ("G8 held-out / seen", ""): pytest.approx(0.8),
        ("D3 lost by shuffling", "seen"): pytest.approx(0.7),
    }
