from __future__ import annotations

import pytest

from lemonade_like.models.download import whole_models
from lemonade_like.models.grouping import checkpoint_of, is_projector, model_stem, projector_for, quantisation_in

SHARDS = ["big/m-Q8_0-00001-of-00002.gguf", "big/m-Q8_0-00002-of-00002.gguf"]


def test_a_folders_models_are_told_from_companions_and_halves() -> None:
    files = [
        "README.md",
        "a-Q4_K_M.gguf",
        "a-BF16.gguf",
        "mmproj-F16.gguf",
        "a-draft-Q4_0.gguf",
        "imatrix.gguf",
        "half-00001-of-00002.gguf",
        "sub/a-Q4_K_M.gguf",
        *reversed(SHARDS),
    ]
    assert whole_models(files) == [["a-BF16.gguf"], ["a-Q4_K_M.gguf"], SHARDS, ["sub/a-Q4_K_M.gguf"]]


@pytest.mark.parametrize(
    ("file", "quant"),
    [
        ("m-Q4_K_M.gguf", "Q4_K_M"),
        ("m-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("m.q8_0.gguf", "q8_0"),
        ("gpt-oss-20b-mxfp4.gguf", "mxfp4"),
        ("m-IQ4_XS-00001-of-00003.gguf", "IQ4_XS"),
        ("m-BF16.gguf", "BF16"),
        ("m-fp16.gguf", "fp16"),
        ("BF16/m-00001-of-00002.gguf", "BF16"),
        ("Qwen3-4B.gguf", None),
        ("q4model.gguf", None),
    ],
)
def test_a_files_name_tells_its_quantisation(file: str, quant: str | None) -> None:
    assert quantisation_in(file) == quant


def test_a_name_has_no_shard_number() -> None:
    assert model_stem(SHARDS[0]) == "m-Q8_0"


@pytest.mark.parametrize(
    ("shards", "files", "expected"),
    [
        (["m-q4_k_m.gguf"], ["m-q4_k_m.gguf", "m-q8_0.gguf"], "org/r:Q4_K_M"),
        (SHARDS, [*SHARDS, "m-Q4_0.gguf"], "org/r:Q8_0"),
        (["a-Q4_0.gguf"], ["a-Q4_0.gguf", "b-Q4_0.gguf"], "org/r:a-Q4_0.gguf"),
        (["model.gguf"], ["model.gguf"], "org/r:model.gguf"),
        (["Q8_0/m.gguf"], ["Q8_0/m.gguf", "Q4_0/m.gguf"], "org/r:Q8_0"),
        (["m-UD-Q4_K_XL.gguf"], ["m-UD-Q4_K_XL.gguf", "m-Q4_K_M.gguf"], "org/r:UD-Q4_K_XL"),
    ],
)
def test_a_file_of_a_repository_is_named_by_its_quantisation_if_that_is_enough(
    shards: list[str], files: list[str], expected: str
) -> None:
    assert checkpoint_of("org/r", shards, files) == expected


@pytest.mark.parametrize(
    ("model", "files", "expected"),
    [
        pytest.param("a-Q4_0.gguf", ["a-Q4_0.gguf"], None, id="none there"),
        pytest.param(
            "a-Q4_0.gguf", ["a-Q4_0.gguf", "mmproj-F32.gguf", "mmproj-F16.gguf"], "mmproj-F16.gguf", id="best"
        ),
        pytest.param("a-Q4_0.gguf", ["a-Q4_0.gguf", "a-Q8_0.gguf", "mmproj.gguf"], "mmproj.gguf", id="one for all"),
        pytest.param("a-Q4_0.gguf", ["a-Q4_0.gguf", "b-Q4_0.gguf", "mmproj.gguf"], None, id="whose is it"),
        pytest.param(
            "a-Q4_0.gguf",
            ["a-Q4_0.gguf", "b-Q4_0.gguf", "mmproj-a-f16.gguf", "mmproj-b-f16.gguf"],
            "mmproj-a-f16.gguf",
            id="by name",
        ),
        pytest.param(
            "sub/a-Q4_0.gguf", ["sub/a-Q4_0.gguf", "mmproj-F16.gguf"], "mmproj-F16.gguf", id="in the folder above"
        ),
        pytest.param("a-Q4_0.gguf", ["a-Q4_0.gguf", "sub/mmproj-F16.gguf"], None, id="not in one below"),
        pytest.param(
            "a-Q4_0.gguf", ["a-Q4_0.gguf", "mmproj-model-f16.gguf"], "mmproj-model-f16.gguf", id="named after none"
        ),
        pytest.param("a-Q4_0.gguf", ["a-Q4_0.gguf", "mmproj-b.gguf"], None, id="another's"),
    ],
)
def test_a_projector_goes_with_the_model_that_it_was_made_for(
    model: str, files: list[str], expected: str | None
) -> None:
    assert projector_for(model, files) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param(["mmproj-BF16.gguf", "mmproj-F16.gguf", "mmproj-F32.gguf"], "mmproj-F16.gguf", id="best"),
        pytest.param(["mmproj-BF16.gguf", "mmproj-Q8_0.gguf"], "mmproj-BF16.gguf", id="second best"),
        pytest.param(["sub/mmproj-model-f16.gguf"], "sub/mmproj-model-f16.gguf", id="anywhere"),
        pytest.param(["b-Q4_0.gguf", "mmproj-Q8_0.gguf"], "mmproj-Q8_0.gguf", id="whose is it"),
        pytest.param(["mmproj-b-F16.gguf", "mmproj-a-Q8_0.gguf"], "mmproj-a-Q8_0.gguf", id="its own before a better"),
        pytest.param(["b-F16.gguf", "mmproj.txt"], None, id="none there"),
    ],
)
def test_a_model_that_is_known_to_see_has_the_best_of_its_repository_where_none_is_its_own(
    files: list[str], expected: str | None
) -> None:
    everything = ["a-Q4_0.gguf", *files]
    assert projector_for("a-Q4_0.gguf", everything, vision=True) == expected
    assert (expected is None) == (not any(is_projector(file) for file in everything))
