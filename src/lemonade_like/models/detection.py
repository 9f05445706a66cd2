"""What is a model for, is it a GPT-OSS model, and is it spoken to in Harmony? Pure decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lemonade_like.settings import HarmonyMode, Mode

_SPELLINGS = ("gpt-oss", "gpt_oss")


def mode_of(labels: Iterable[str], given_away: Iterable[str] = ()) -> Mode:
    """What a model is for: by its ``labels``, or where these do not say, by those that its file gives away.

    A cross-encoder has no vector to give, so of both labels ``reranking`` holds.
    """
    for said in (frozenset(labels), frozenset(given_away)):
        if "reranking" in said:
            return "reranking"
        if "embeddings" in said:
            return "embeddings"
    return "chat"


def is_gpt_oss(
    name: str, checkpoint: str | None = None, labels: Iterable[str] = (), architecture: str | None = None
) -> bool:
    """Whether a model is of the GPT-OSS family, by any of the four things that tell.

    ``architecture`` is ``general.architecture`` of its GGUF file, where that has been read.
    """
    if "gpt-oss" in labels or architecture in _SPELLINGS:
        return True
    spelled = f"{name}\n{checkpoint or ''}".lower()
    return any(spelling in spelled for spelling in _SPELLINGS)


def harmony_mode(
    backend: str,
    harmony: HarmonyMode,
    by_backend: Mapping[str, HarmonyMode] | None = None,
    for_model: HarmonyMode | None = None,
) -> HarmonyMode:
    """The setting that holds for one model on one backend: the model's own, else the backend's, else the general."""
    return for_model or (by_backend or {}).get(backend) or harmony


def should_use_harmony(
    gpt_oss: bool,
    backend: str,
    harmony: HarmonyMode,
    by_backend: Mapping[str, HarmonyMode] | None = None,
    for_model: HarmonyMode | None = None,
) -> bool:
    """Whether a model (``gpt_oss``: see :func:`is_gpt_oss`) is spoken to in Harmony.

    ``auto`` and ``always`` are alike here (they differ in what happens when Harmony cannot be loaded) and never
    concern models of other families, whose vocabulary has no Harmony tokens. One exception: ``always`` for the model
    itself is how a GPT-OSS model that nothing gives away is made known.
    """
    mode = harmony_mode(backend, harmony, by_backend, for_model)
    if mode == "never":
        return False
    return gpt_oss or for_model == "always"
