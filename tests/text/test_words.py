from calotype.text.words import unknown_words

KNOWN = {"a", "unicorn", "on", "purple", "background", "it's"}


def test_unknown_words_come_in_order_with_their_nearest() -> None:
    assert unknown_words("A unicron on a zebra, UNICRON 7!", KNOWN) == {"unicron": ["unicorn"], "zebra": []}


def test_one_known_word_is_near_or_none() -> None:
    known = {"castle", "slice", "blue", "elephant", "of", "an"}
    assert unknown_words("style of an elefant, bleu", known) == {
        "style": ["castle"], "elefant": ["elephant"], "bleu": ["blue"],
    }  # fmt: skip


def test_letters_behind_a_number_are_no_word() -> None:
    assert unknown_words("a unicorn, 4k, 8mm", KNOWN) == {}
    assert unknown_words("a purple_zebra", KNOWN) == {"zebra": []}


def test_known_words_are_not_named() -> None:
    assert unknown_words("It's a purple unicorn", KNOWN) == {}


def test_a_model_without_a_word_list_knows_all() -> None:
    assert unknown_words("anything", ()) == {}
