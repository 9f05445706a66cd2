from __future__ import annotations

import pytest

from lemonade_like.models.detection import harmony_mode, is_gpt_oss, mode_of, should_use_harmony
from lemonade_like.settings import HarmonyMode, Mode


@pytest.mark.parametrize(
    ("labels", "given_away", "mode"),
    [
        ((), (), "chat"),
        (("hot", "coding"), ("tool-calling",), "chat"),
        (("embeddings", "hot"), (), "embeddings"),
        (("reranking",), (), "reranking"),
        (("embeddings", "reranking"), (), "reranking"),
        (("hot",), ("embeddings",), "embeddings"),
        ((), ("reranking",), "reranking"),
        (("embeddings",), ("reranking",), "embeddings"),
        (("reranking",), ("embeddings",), "reranking"),
        (("matryoshka",), (), "chat"),
    ],
)
def test_what_a_model_is_for_is_said_by_its_labels_or_else_by_its_file(
    labels: tuple[str, ...], given_away: tuple[str, ...], mode: Mode
) -> None:
    assert mode_of(labels, given_away) == mode


@pytest.mark.parametrize(
    ("name", "checkpoint", "labels", "architecture", "expected"),
    [
        ("mine", None, {"gpt-oss"}, None, True),
        ("gpt-oss-20b-GGUF", None, (), None, True),
        ("my_gpt_oss_tune", None, (), None, True),
        ("GPT-OSS-120B", None, (), None, True),
        ("mine", "unsloth/gpt-oss-20b-GGUF:Q4_K_M", (), None, True),
        ("mine", "org/GPT_OSS:F16", (), None, True),
        ("mine", None, (), "gpt-oss", True),
        ("mine", None, (), "gpt_oss", True),
        ("mine", None, (), "llama", False),
        ("Qwen3-4B-GGUF", "unsloth/Qwen3-4B-GGUF:Q4_K_M", {"reasoning", "hot"}, "qwen3", False),
        ("gptoss", None, (), None, False),
        ("oss", "gpt-/oss", (), None, False),
        ("ends-in-gpt", "-oss/repo", (), None, False),
    ],
)
def test_a_gpt_oss_model_is_known_by_label_name_checkpoint_or_architecture(
    name: str, checkpoint: str | None, labels: set[str], architecture: str | None, expected: bool
) -> None:
    assert is_gpt_oss(name, checkpoint, labels, architecture) is expected


@pytest.mark.parametrize(
    ("gpt_oss", "harmony", "by_backend", "for_model", "expected"),
    [
        (True, "auto", {}, None, True),
        (True, "always", {}, None, True),
        (True, "never", {}, None, False),
        (False, "auto", {}, None, False),
        (False, "always", {}, None, False),
        (False, "never", {}, None, False),
        (True, "auto", {"vulkan": "never"}, None, False),
        (True, "auto", {"cpu": "never"}, None, True),
        (True, "never", {"vulkan": "auto"}, None, True),
        (False, "never", {"vulkan": "always"}, None, False),
        (True, "auto", {}, "never", False),
        (True, "never", {"vulkan": "never"}, "auto", True),
        (True, "always", {"vulkan": "always"}, "never", False),
        (False, "auto", {}, "always", True),
        (False, "never", {"vulkan": "never"}, "always", True),
        (False, "always", {}, "auto", False),
    ],
)
def test_harmony_is_for_gpt_oss_models_unless_the_nearest_setting_says_otherwise(
    gpt_oss: bool,
    harmony: HarmonyMode,
    by_backend: dict[str, HarmonyMode],
    for_model: HarmonyMode | None,
    expected: bool,
) -> None:
    assert should_use_harmony(gpt_oss, "vulkan", harmony, by_backend, for_model) is expected


@pytest.mark.parametrize("backend", ["bundled", "system", "cpu", "vulkan", "cuda", "rocm", "metal"])
def test_auto_means_every_gpt_oss_model_on_every_backend(backend: str) -> None:
    assert should_use_harmony(True, backend, "auto")


def test_the_models_own_mode_goes_before_the_backends_and_that_before_the_general() -> None:
    assert harmony_mode("cpu", "auto") == "auto"
    assert harmony_mode("cpu", "auto", {"cpu": "never"}) == "never"
    assert harmony_mode("cpu", "auto", {"cpu": "never"}, "always") == "always"
