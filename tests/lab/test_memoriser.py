from calotype.lab.memoriser import Memoriser


def test_the_identical_caption_is_the_nearest(bank):
    from calotype.data.scenes import World

    world = World(bank)
    captions = list(dict.fromkeys(world.scene(seed).caption for seed in range(300)))
    assert Memoriser(captions).nearest(captions) == list(range(len(captions)))


def test_the_order_of_words_counts():
    captions = ["a dog to the left of a cat on red", "a cat to the left of a dog on red", "a fox on red"]
    assert Memoriser(captions).nearest(["a cat to the left of a dog on a red background"]) == [1]


def test_rare_words_count_more_than_common_ones():
    captions = ["a fox on a red background", "an owl on a blue background", "a cat on a red background"]
    assert Memoriser(captions).nearest(["an owl on a red background"]) == [1]


def test_unknown_words_find_something():
    assert Memoriser(["a fox", "a cat"]).nearest(["zzz"]) == [0]
