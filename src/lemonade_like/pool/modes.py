"""What a model's mode means for its engine, and what is said to whom asks for something else. Pure decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lemonade_like.errors import BadRequest
from lemonade_like.models.estimate import AUTOMATIC_CONTEXT

if TYPE_CHECKING:
    from lemonade_like.models.facts import ModelFacts
    from lemonade_like.models.model import Model
    from lemonade_like.settings import Mode

#: The automatic context of a model that reads texts and writes nothing: longer ones are cut into pieces anyway.
_LONGEST_TEXT: Final = 8_192

_KIND: Final[dict[Mode, str]] = {
    "chat": "a chat model",
    "embeddings": "an embedding model",
    "reranking": "a reranking model",
}
_CANNOT: Final[dict[Mode, str]] = {
    "chat": "does not chat",
    "embeddings": "makes no embeddings",
    "reranking": "does not rerank",
}
_ENDPOINT: Final[dict[Mode, str]] = {
    "chat": "/v1/chat/completions",
    "embeddings": "/v1/embeddings",
    "reranking": "/v1/rerank",
}


class WrongMode(BadRequest):
    """The model is there, but for something else."""

    default_code = "wrong_model_mode"


@dataclass(frozen=True)
class Reading:
    """How an engine reads: the most ``context`` that is chosen for it by itself, in tokens; ``pooling`` where it has to
    be told; and whether it reads a text ``at_once``, so that its batch must hold all of one."""

    context: int = AUTOMATIC_CONTEXT
    pooling: str | None = None
    at_once: bool = False


def reading(mode: Mode, known: ModelFacts | None, asked_pooling: str | None = None) -> Reading:
    """Return how the engine of a model reads; ``asked_pooling`` is what a user's arguments for llama-server say.

    Where neither they nor the file say how to pool, an encoder takes the mean and a decoder its last token, which is
    how such models are trained. Only the latter can be read in pieces, as chats are.
    """
    if mode == "chat":
        return Reading()
    if mode == "reranking":
        return Reading(_LONGEST_TEXT, at_once=True)
    encoder = known is not None and known.encoder
    said = asked_pooling or (known.pooling if known is not None else None)
    if said in ("mean", "cls", "last"):
        pooling, chosen = None, said
    else:
        # A head that scores has no vector of the text: llama.cpp would give what happens to be in memory.
        pooling = chosen = "mean" if encoder else "last"
    return Reading(_LONGEST_TEXT, pooling, at_once=encoder or chosen != "last")


def wrong_mode(model: Model, mode: Mode, wanted: Mode) -> WrongMode:
    """Return what to say to whom asks a model of one mode for another."""
    said = f"{model.name} is {_KIND[mode]} and {_CANNOT[wanted]}"
    if mode != "chat":
        return WrongMode(f"{said}: ask it at {_ENDPOINT[mode]}.", param="model")
    return WrongMode(
        f"{said}. If it was made for that, register it with the label that says so: lemonade-like register NAME "
        f"{model.checkpoint or 'FILE.gguf'} --label {wanted}. GET /v1/models tells what each model is for.",
        param="model",
    )


def no_scores(model: Model) -> WrongMode:
    """Return what to say of a model that is to rerank and cannot: llama.cpp would take any number for a score."""
    return WrongMode(
        f"{model.name} cannot rerank: its file has no head that scores texts. Take a model that was made for it, or "
        "register this one without the label reranking.",
        param="model",
    )
