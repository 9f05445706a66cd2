"""How much memory a model will take, and how much context fits. Pure arithmetic over what the file says.

Weights and cache are exact for an engine that keeps its cache as F16, as llama.cpp does by default; what it computes
in is an estimate. ``-ctk`` and the like make the cache smaller than this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lemonade_like.models.facts import ModelFacts

#: The context of one slot where nobody asked for another: enough for agents, small enough for a laptop.
AUTOMATIC_CONTEXT: Final = 32_768
#: Where the file does not say what the model was trained for.
UNKNOWN_CONTEXT: Final = 4_096
#: Less than this is of no use to a chat; if even this does not fit, it is for the engine to say so.
_LEAST_CONTEXT: Final = 2_048
_STEP: Final = 1_024
_BATCH: Final = 512  # tokens that llama.cpp works on at once (-ub)
_PADDING: Final = 256  # llama.cpp rounds the cells of a cache up to this
_FLOAT: Final = 4
#: Measured on the bundled engine: the process itself, and the vocabulary in it, which is 80 MB for that of GPT-OSS.
_PROCESS: Final = 35_000_000
_PER_TOKEN_OF_VOCABULARY: Final = 400


@dataclass(frozen=True)
class Memory:
    """Bytes: of the file, of the cache for all slots, and of all else that the engine needs."""

    weights: int
    kv: int
    compute: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.kv + self.compute


def memory(facts: ModelFacts, ctx_total: int, parallel: int, mmproj_bytes: int = 0, *, at_once: bool = False) -> Memory:
    """Return what an engine takes that shares ``ctx_total`` tokens of context out to ``parallel`` slots.

    ``ctx_total`` 0 is, as for llama.cpp, all that the model was trained for. ``mmproj_bytes`` is the size of a vision
    projector. ``at_once`` says that a slot's whole context is worked on in one batch: see :func:`batch`.
    """
    whole = ctx_total or trained_context(facts)
    cells = _padded(-(-whole // parallel))
    worked_on = batch(cells) if at_once else _BATCH
    # Beside the window itself, a cache holds what is being worked on.
    window_cells = min(cells, _padded(facts.sliding_window + worked_on))
    return Memory(
        weights=facts.file_bytes + mmproj_bytes,
        kv=parallel * (cells * facts.kv_bytes_per_token + window_cells * facts.window_kv_bytes_per_token),
        compute=_PROCESS + facts.vocabulary_size * _PER_TOKEN_OF_VOCABULARY + buffers(facts, parallel, worked_on),
    )


def batch(context: int) -> int:
    """Return the tokens that llama.cpp is to work on at once so that a text as long as the context is read whole."""
    return max(_BATCH, _padded(context))


def buffers(facts: ModelFacts, parallel: int, worked_on: int = _BATCH) -> int:
    """Return the bytes of what llama.cpp computes in: the activations of the tokens that are ``worked_on`` at once, and
    the probabilities of each slot."""
    activations = worked_on * _FLOAT * (6 * facts.embedding_length + 3 * facts.feed_forward_length)
    probabilities = _FLOAT * facts.vocabulary_size * parallel
    return activations + 2 * probabilities


def trained_context(facts: ModelFacts) -> int:
    """Return the tokens that the model was trained for, or a cautious number where the file does not say."""
    return facts.context_length or UNKNOWN_CONTEXT


def automatic_context(
    facts: ModelFacts,
    parallel: int,
    budget_bytes: int,
    *,
    mmproj_bytes: int = 0,
    limit: int = AUTOMATIC_CONTEXT,
    at_once: bool = False,
) -> int:
    """Return the most context for each of ``parallel`` slots that fits, with all else, into ``budget_bytes``.

    In tokens; never above ``limit`` or what the model was trained for, and in steps of 1,024 below that. Where
    nothing fits it is the least that is of use, 2,048: an estimate may err, and the engine has the last word.
    """
    most = min(trained_context(facts), limit)
    least = min(_LEAST_CONTEXT, most)
    contexts: list[int] = [most, *range((most - 1) // _STEP * _STEP, least, -_STEP)]
    for context in contexts:
        if memory(facts, context * parallel, parallel, mmproj_bytes, at_once=at_once).total <= budget_bytes:
            return context
    return least


def _padded(tokens: int) -> int:
    return -(-tokens // _PADDING) * _PADDING
