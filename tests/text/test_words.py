from calotype.text.words import unknown_words

KNOWN = {"a", "unicorn", "on", "purple", "background", "it's"}


def test_unknown_words_come_in_order_with_their_nearest() -> None:
    assert unknown_words("A unicron on a zebra, UNICRON 7!", KNOWN) == {"unicron": ["unicorn"], "zebra": []}


def test_known_words_are_not_named() -> None:
    assert unknown_words("It's a purple unicorn", KNOWN) == {}


def test_a_model_without_a_word_list_knows_all() -> None:
    assert unknown_words("anything", ()) == {}
