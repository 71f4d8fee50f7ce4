import pytest

from calotype.recipe import Recipe, Record


@pytest.fixture
def record() -> Record:
    return Record(
        recipe=Recipe(
            prompt="a red cat", seed=7, cfg_scale=7, sampler="DPM++ 2M", scheduler="karras", width=128, height=96
        ),
        model="embedded",
        model_hash="6ce0161689b3853acaa03779ec93eafe75a02f4ced659bee03f50797806fa2fa",
        dtype="float32",
        device="cpu",
        threads=2,
        noise="cpu",
        versions={"calotype": "0.1.0", "torch": "2.13.0"},
        digests=("0123456789abcdef",),
    )
